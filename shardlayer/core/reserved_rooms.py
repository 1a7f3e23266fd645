"""Rooms that an application keeps for itself, and what they remember, whatever `history` says.

A project's `history` is about the project's rooms. A part of an application that needs a room of
its own reserves it, in every process, before it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from shardlayer.core.types import HistoryPolicy

PolicySource = Callable[[], HistoryPolicy]

_reserved: dict[str, PolicySource] = {}


def reserve_room(room: str, policy: PolicySource) -> None:
    """Have a room remember what `policy()` says when a layer first asks, in all layers.

    No count and no list of rooms has it: it is none of the project's. Only `publish_reserved` of a
    layer publishes to it.
    """
    _reserved[room] = policy


def reserved_rooms() -> Collection[str]:
    """Return the names of all reserved rooms."""
    return _reserved.keys()


def reserved_policy(room: str) -> HistoryPolicy | None:
    """Return what a reserved room remembers; None of any other."""
    source = _reserved.get(room)
    return None if source is None else source()
