"""What came of one fault, as it stands in the results."""

from __future__ import annotations

from dataclasses import dataclass

JOINING = "join"  # the name of what is no fault: clients that leave and come back
KILLS = "kills"  # the name of many in one slice: the pool is killed before all is well again

NEVER = "never"  # stands for a time where a client had not heard from all again in the end


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One slice of the whole system's life. The counts of messages are of all rooms.

    Attributes:
        fault: Its name, or JOINING or KILLS.
        what: In words.
        victim: The number of the worker or Redis that it happened to.
        seconds: How long it lasted.
        forgets: Whether the promise is only that clients are told what they missed.
        pause_limit_ms: Of `pause_mended_ms`; None where nothing is promised.
        published: Messages that a source began to send.
        acknowledged: Those that were acknowledged; all, or the run fails.
        silent: Sources that published nothing; none, or the slice says nothing.
        delivered: Messages handed to clients.
        lost: Deliveries that did not come, and nobody was told.
        twice: Deliveries that came again.
        misordered: Deliveries that came after a later one.
        told: Deliveries missing, or repeated, of which the client had been told.
        notices: How often a client was told that something may be missing in a room.
        asked_again: How often a client found a gap and had it filled from the history.
        ended: Connections that ended.
        pause_ms: The longest time for which a client heard nothing of a source in a room; None if
            that went on to the end.
        pause_mended_ms: The same, of the time from when all should be well soon: when a fault was
            mended, or began if another could take over.
        well_ms: From then until every client had something new of every source in every room;
            None if that did not come.
    """

    fault: str
    what: str
    victim: int
    seconds: float
    forgets: bool
    pause_limit_ms: float | None
    published: int
    acknowledged: int
    silent: int
    delivered: int
    lost: int
    twice: int
    misordered: int
    told: int
    notices: int
    asked_again: int
    ended: int
    pause_ms: float | None
    pause_mended_ms: float | None
    well_ms: float | None

    @property
    def timed(self) -> bool:
        """Whether its times say something: they are those of one fault and of clients that stay."""
        return self.fault not in (JOINING, KILLS)

    @property
    def is_stuck(self) -> bool:
        """Whether some client had not heard from all again in the end."""
        return self.timed and self.well_ms is None

    @property
    def is_good(self) -> bool:
        """Whether all is as promised, and there was something to judge."""
        return not (self.broken or self.is_stuck or self.silent)

    @property
    def broken(self) -> int:
        """How many deliveries were not as promised."""
        broken = self.lost + self.twice + self.misordered + self.published - self.acknowledged
        return broken if self.forgets else broken + self.told
