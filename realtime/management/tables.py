"""Text for a terminal: tables, and what others wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

GAP = "  "  # between columns

_control = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """Yield a table's lines: the first column to the left, the others, numbers, to the right."""
    lines = [[str(cell) for cell in row] for row in (head, *rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = [line[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        yield GAP.join(cells).rstrip()


def harmless(data: bytes) -> str:
    """Return what a client published as one line, whose control characters do nothing."""
    text = data.decode("utf-8", "replace")
    return _control.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
