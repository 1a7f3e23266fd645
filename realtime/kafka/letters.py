"""Dead letters: records that could not be published, kept in a topic beside their own.

A letter is the record as it came - key, value, headers - with headers behind its own that say why
and where from. Values in, values out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from aiokafka.structs import ConsumerRecord

Headers = Sequence[tuple[str, bytes | None]]

# Behind the record's own, in this order; the record may have headers of these names too.
ADDED = ("error", "topic", "partition", "offset")
MAX_ERROR = 1_000  # characters
SHORT_ERROR = 100  # characters, of a letter that is too large for its topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A record that could not be published, and why.

    Attributes:
        topic: Where the record is.
        partition: The record's.
        offset: The record's.
        error: Why it could not be published.
        key: As it came.
        value: As it came.
        headers: As they came, without those that were added.
    """

    topic: str
    partition: int
    offset: int
    error: str
    key: bytes | None
    value: bytes | None
    headers: Headers

    @classmethod
    def about(cls, record: Any, error: Exception) -> Letter:
        """Return the letter for a record: a ConsumerRecord, or an UnreadRecord."""
        return cls(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=str(error)[:MAX_ERROR],
            key=record.key,
            value=record.value,
            headers=tuple(record.headers),
        )

    @classmethod
    def read(cls, record: ConsumerRecord) -> Letter:
        """Return the letter that a record of a dead letter topic is.

        Raises:
            ValueError: It is none: somebody else wrote it.
        """
        own, added = record.headers[: -len(ADDED)], record.headers[-len(ADDED) :]
        if tuple(name for name, _ in added) != ADDED:
            raise ValueError(f"no dead letter: it does not end with the headers {ADDED}")
        error, topic, partition, offset = ((value or b"").decode() for _, value in added)
        return cls(
            topic=topic,
            partition=int(partition),
            offset=int(offset),
            error=error,
            key=record.key,
            value=record.value,
            headers=tuple(own),
        )

    def without_payload(self) -> Letter:
        """Return it as one that says that its payload is left out."""
        return replace(self, value=b"", error=f"{self.error} (payload left out: too large)")

    def bare(self) -> Letter:
        """Return just where the record is, and why."""
        left_out = f"{self.error[:SHORT_ERROR]} (all else left out: too large)"
        return replace(self, key=None, value=b"", headers=(), error=left_out)

    def all_headers(self) -> list[tuple[str, bytes | None]]:
        """Return the headers that it has in its own topic."""
        error = self.error.encode(errors="backslashreplace")  # half a surrogate pair, say
        values = (error.decode(), self.topic, str(self.partition), str(self.offset))
        added = zip(ADDED, (value.encode() for value in values), strict=True)
        return [*self.headers, *added]
