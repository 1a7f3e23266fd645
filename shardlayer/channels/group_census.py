"""What a group's nodes are asked, and answer: which of its channels they receive, or how many.

    question := kind:1  id            `*` for the names, `#` for their number; the id is the asker's
    answer   := names, each behind a line feed but the first; or the number in decimal digits

No channel's name has a line feed. A process asks only when somebody wants to know, so being in a
group costs nothing for it.

`@` asks for the members of a room that are sinks: the answer is what the application says of them
(`NodeParts.describe`), and empty where it says nothing, as in a release before.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence

NAMES, NUMBER, SINKS = b"*", b"#", b"@"


def new_question(kind: bytes) -> bytes:
    """Return a question that no other is like."""
    return kind + secrets.token_hex(12).encode()


def answer_of(question: bytes, channels: Sequence[str]) -> bytes:
    """Return what a node answers that receives these channels of the group."""
    if question[:1] == NUMBER:
        return b"%d" % len(channels)
    return "\n".join(channels).encode()


def names_in(answers: Iterable[bytes]) -> list[str]:
    """Return the channels that answers name."""
    return [name for answer in answers if answer for name in answer.decode().split("\n")]


def number_in(answers: Iterable[bytes]) -> int:
    """Return how many channels answers count."""
    return sum(int(answer) for answer in answers)
