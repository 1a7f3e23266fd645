"""Kafka records that no broker has seen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRecord:
    """What routing sees of a record."""

    key: bytes | None = None
    value: bytes | None = b"{}"
    headers: tuple[tuple[str, bytes], ...] = ()


def with_room(*rooms: bytes, value: bytes | None = b"{}", key: bytes | None = None) -> FakeRecord:
    """Return a record with these headers `room`."""
    return FakeRecord(value=value, key=key, headers=tuple(("room", room) for room in rooms))
