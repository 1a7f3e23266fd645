"""The child's side of the talk between the command and its processes: a JSON object a line.

The command asks `{"id":…,"do":…,"with":{…}}`. The child answers `{"id":…,"answer":{…}}` when it has
done it, which may be after it has answered later questions, and tells `{"report":{…}}` unasked.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from typing import Any, NamedTuple

import orjson


class HelperTask(NamedTuple):
    """What the command wants done.

    Attributes:
        id: What the answer carries.
        do: The name of it.
        arguments: By name.
    """

    id: int
    do: str
    arguments: dict[str, Any]


class LineLink:
    """Standard input and output of a child; reading never blocks the child's loop.

    Attributes:
        ended: Whether the command will ask no more; the child ends then.
    """

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._rest = b""
        self.ended = False

    def fileno(self) -> int:
        """The descriptor to watch."""
        return sys.stdin.fileno()

    def read(self) -> None:
        """Take in what has come; call when the descriptor is readable."""
        data = os.read(self.fileno(), 1 << 20)
        if not data:
            self.ended = True
        *lines, self._rest = (self._rest + data).split(b"\n")
        self._lines.extend(lines)

    def take(self) -> HelperTask | None:
        """Return what is asked next; None: nothing now."""
        if not self._lines:
            return None
        asked = orjson.loads(self._lines.popleft())
        return HelperTask(asked["id"], asked["do"], asked["with"])

    def answer(self, number: int, value: dict[str, Any]) -> None:
        """Answer what was asked under this id."""
        self._write({"id": number, "answer": value})

    def report(self, value: dict[str, Any]) -> None:
        """Tell how it goes."""
        self._write({"report": value})

    @staticmethod
    def _write(value: dict[str, Any]) -> None:
        sys.stdout.buffer.write(orjson.dumps(value) + b"\n")
        sys.stdout.buffer.flush()
