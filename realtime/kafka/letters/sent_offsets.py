"""Which letters of a partition were sent again: all below an offset, and some beyond it.

Kafka keeps a text beside the offset that a group commits. The letters that were sent one by one
stand there, so the offset and they change in one step. The text is `sent 3 1x4`: 3 letters were not
sent, 1 was, 1 was not, 4 were.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

MAX_TEXT = 4_096  # bytes: offset.metadata.max.bytes of Apache Kafka, as it is by default

_TEXT = re.compile(r"sent(?: [0-9]{1,18}(?:x[0-9]{1,18})?)*")


class CannotNote(ValueError):
    """Kafka has no room to note that this letter was sent alone: send all of them."""

    def __str__(self) -> str:
        return str(self.__doc__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SentOffsets:
    """Which letters of a partition were sent again.

    Attributes:
        below: All letters before this offset were.
        beyond: Others, as ranges of offsets: in order, and with a gap before each.
    """

    below: int = 0
    beyond: tuple[range, ...] = ()

    @classmethod
    def of(cls, offset: int, text: str) -> SentOffsets:
        """Return what was committed; a text of somebody else says nothing."""
        below = max(0, offset)  # -1: nothing was
        if not _TEXT.fullmatch(text):
            return cls(below=below)
        ranges = []
        at = below
        for word in text.split()[1:]:
            gap, _, length = word.partition("x")
            begin = at + int(gap)
            at = begin + int(length or 1)
            ranges.append(range(begin, at))
        return cls(below=below)._with(ranges)

    def __contains__(self, offset: int) -> bool:
        return offset < self.below or any(offset in each for each in self.beyond)

    @property
    def end(self) -> int:
        """Return the offset behind the last that was sent."""
        return self.beyond[-1].stop if self.beyond else self.below

    @property
    def text(self) -> str:
        """Return what is committed beside `below`.

        Raises:
            CannotNote: It is more than Kafka keeps.
        """
        words = ["sent"]
        at = self.below
        for each in self.beyond:
            length = "" if len(each) == 1 else f"x{len(each)}"
            words.append(f"{each.start - at}{length}")
            at = each.stop
        text = " ".join(words) if self.beyond else ""
        if len(text) > MAX_TEXT:
            raise CannotNote
        return text

    def waiting(self, known: range) -> int:
        """Return how many of some offsets were not sent."""
        parts = [range(self.below), *self.beyond]
        return len(known) - sum(
            max(0, min(each.stop, known.stop) - max(each.start, known.start)) for each in parts
        )

    def plus(self, offsets: Iterable[int]) -> SentOffsets:
        """Return it with more."""
        return self._with([range(offset, offset + 1) for offset in offsets])

    def since(self, begin: int) -> SentOffsets:
        """Return it for a log that begins there: there is nothing before, which needs no note."""
        return self._with([range(begin)]) if begin > self.below else self

    def _with(self, ranges: Iterable[range]) -> SentOffsets:
        below, *beyond = _joined([range(self.below), *self.beyond, *ranges])
        return SentOffsets(below=below.stop, beyond=tuple(beyond))


def _joined(ranges: Iterable[range]) -> Iterator[range]:
    """Yield ranges in order, those that touch each other as one; the first begins at 0."""
    last = range(0)
    for each in sorted(ranges, key=lambda item: item.start):
        if each.start <= last.stop:
            last = range(last.start, max(last.stop, each.stop))
        else:
            yield last
            last = each
    yield last
