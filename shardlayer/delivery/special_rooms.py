"""What some rooms do beside delivering: keep their newest publication, or write seldom.

A room that does neither has no such object, and costs one look.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from shardlayer.core.options import LayerOptions
from shardlayer.core.types import Position, Publication
from shardlayer.delivery.calm_window import CalmWindow


class SpecialRoom:
    """What a cache room or a calm room has besides.

    Attributes:
        keeps_newest: Whether each new member is told the newest publication.
        newest: That, as far as the room's members were told; None if there is none.
        window: What waits for the next write, in a calm room.
    """

    __slots__ = ("_cleared", "keeps_newest", "newest", "window")

    def __init__(self, *, keeps_newest: bool, window: CalmWindow | None) -> None:
        self.keeps_newest = keeps_newest
        self.newest: Publication | None = None
        self.window = window
        self._cleared: Position | None = None  # what stands up to there is not kept any more

    def follow(self, publication: Publication) -> None:
        """Note what the room's members were told last."""
        if self.keeps_newest and not _stands_by(publication, self._cleared):
            self.newest = publication

    def learn(self, newest: Publication | None) -> None:
        """Take what the room's shard keeps; None: nothing."""
        self.newest = None
        if newest is not None:
            self.follow(newest)

    def clear(self, at: Position) -> None:
        """Forget what was published up to a position, also what the members are yet to be told."""
        self._cleared = at
        if self.newest is not None and _stands_by(self.newest, at):
            self.newest = None

    def reset(self, epoch: str) -> None:
        """Note that the room's members are told that its count is that of an epoch."""
        if self.newest is not None and self.newest.epoch != epoch:
            self.newest = None  # a member can't compare its offset with what follows


def _stands_by(publication: Publication, at: Position | None) -> bool:
    return at is not None and publication.epoch == at.epoch and publication.offset <= at.offset


def specials_of(options: LayerOptions) -> Callable[[str], SpecialRoom | None]:
    """Return what tells by a room's name what it has besides."""
    if options.calm or any(policy.latest for policy in options.history.values()):
        return partial(_special, options=options)
    return _nothing


def _nothing(name: str) -> None:
    return None


def _special(name: str, options: LayerOptions) -> SpecialRoom | None:
    keeps_newest = options.policy_of(name).latest
    calm = options.calm_of(name)
    if not keeps_newest and calm is None:
        return None
    return SpecialRoom(
        keeps_newest=keeps_newest, window=CalmWindow(calm) if calm is not None else None
    )
