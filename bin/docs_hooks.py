"""What the site needs beside Markdown: links to files that are no pages; nothing of other sites."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

# A link to a file by a path that climbs; as on GitHub, it is relative to the page.
CLIMBING = re.compile(r"\]\((\.\./[^)#\s]+)(#[^)\s]*)?\)")

_COUNTED = ' data-md-component="source"'  # marks a link whose repository's figures are fetched


def on_page_markdown(markdown: str, *, page: Any, config: Any, **_: Any) -> str:
    """Have links to files outside docs/ lead to the repository."""

    def absolute(link: re.Match[str]) -> str:
        parts: list[str] = list(PurePosixPath("docs", page.file.src_uri).parent.parts)
        for part in PurePosixPath(link[1]).parts:
            if part != "..":
                parts.append(part)
            elif parts:
                parts.pop()
        if parts[:1] == ["docs"]:
            return link[0]
        return f"]({config.repo_url}/blob/main/{'/'.join(parts)}{link[2] or ''})"

    return CLIMBING.sub(absolute, markdown)


def on_post_page(output: str, **_: Any) -> str:
    """Have no reader's browser ask GitHub how many stars there are, as the theme's script would."""
    return output.replace(_COUNTED, "")


def on_post_template(output_content: str, **_: Any) -> str:
    """The same for the page of errors."""
    return output_content.replace(_COUNTED, "")
