"""The newest publication of a room that keeps it, where its history is cleared meanwhile."""

from __future__ import annotations

from shardlayer.core.types import Position, Publication
from shardlayer.delivery.special_rooms import SpecialRoom

EPOCH = "e1e1e1e1"


def publication(offset: int, epoch: str = EPOCH) -> Publication:
    """Return one of a room."""
    return Publication("now", b"%d" % offset, offset, epoch)


def test_what_was_cleared_is_not_kept_again() -> None:
    """Though its members are told it, or the shard's answer with it is read, only afterwards."""
    room = SpecialRoom(keeps_newest=True, window=None)
    room.follow(publication(1))
    room.clear(Position(2, EPOCH))
    assert room.newest is None
    room.follow(publication(2))
    room.learn(publication(2))
    assert room.newest is None
    room.follow(publication(3))
    assert room.newest == publication(3)


def test_what_came_behind_stays() -> None:
    """Of the same epoch, or of the next one, which counts from 1 again."""
    room = SpecialRoom(keeps_newest=True, window=None)
    room.follow(publication(3))
    room.clear(Position(2, EPOCH))
    assert room.newest == publication(3)
    room.learn(None)
    room.follow(publication(1, "f2f2f2f2"))
    assert room.newest == publication(1, "f2f2f2f2")
    room.clear(Position(3, EPOCH))
    assert room.newest == publication(1, "f2f2f2f2")
