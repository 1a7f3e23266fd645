"""The fenced blocks of README.md and docs/*.md, and who runs which."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_FENCE = re.compile(r"^ *```(.*)$")
_FILE = re.compile(r"^(?:# |// |\{# )([\w/.@-]+\.(?:py|js|html|toml|yml|conf|service))\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block.

    Attributes:
        page: The page's file name.
        line: Where the fence is, from 1.
        language: What stands behind the fence.
        code: The lines between the fences, without the indentation that they share.
    """

    page: str
    line: int
    language: str
    code: str

    @property
    def place(self) -> str:
        """Where it is, as an editor opens it."""
        return f"{self.page}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that its first line says it goes into."""
        found = _FILE.match(self.code)
        return found[1] if found else None


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """Yield a page's blocks in their order.

    Raises:
        ValueError: A fence is not closed.
    """
    language, start = "", 0
    lines: list[str] | None = None
    for number, line in enumerate(text.splitlines(), 1):
        fence = _FENCE.match(line)
        if fence is None:
            if lines is not None:
                lines.append(line)
        elif lines is None:
            language, start, lines = fence[1].strip(), number, []
        else:
            code = dedent("\n".join(lines)) + "\n"
            yield Block(page=page, line=start, language=language, code=code)
            lines = None
    if lines is not None:
        raise ValueError(f"{page}:{start} is not closed")


@cache
def all_blocks() -> tuple[Block, ...]:
    """Return the blocks of all pages."""
    return tuple(block for path in PAGES for block in blocks_of(path.name, path.read_text()))


def python_of(page: str) -> list[str]:
    """Return the Python of a page."""
    return [one.code for one in all_blocks() if (one.page, one.language) == (page, "python")]


async def run_piece(code: str, names: dict[str, Any]) -> None:
    """Run Python that may await outside of a function."""
    compiled = compile(code, "docs", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if (awaited := eval(compiled, names)) is not None:
        await awaited
