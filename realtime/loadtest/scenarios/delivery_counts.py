"""How much did not arrive as promised."""

from __future__ import annotations

from dataclasses import dataclass

from realtime.loadtest.load_session import LoadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """Counts over all clients.

    Attributes:
        judged: How many deliveries there were, and should have been: of none nothing can be said.
        lost: Publications that clients did not get.
        wrong: Those that came twice, out of order, or to a client that is not in the room.
        failed: Publications that the deployment did not take.
    """

    judged: int
    lost: int
    wrong: int
    failed: int

    @classmethod
    def of(cls, session: LoadSession, *, missing: int) -> DeliveryCounts:
        """Return what a load test counted so far.

        Args:
            session: The load test.
            missing: What clients have not got in the end.
        """
        figures = session.figures
        counts = figures.counted("counts")
        wrong = counts["wrong"] + counts["doubled"] + counts["disordered"]
        return cls(
            judged=figures.deliveries + counts["recovered"] + missing + wrong,
            lost=missing,
            wrong=wrong,
            failed=figures.failed,
        )

    def __add__(self, other: DeliveryCounts) -> DeliveryCounts:
        """Return the counts of both: there is nothing to judge if there is not in one of them."""
        return DeliveryCounts(
            judged=min(self.judged, other.judged),
            lost=self.lost + other.lost,
            wrong=self.wrong + other.wrong,
            failed=self.failed + other.failed,
        )

    def __sub__(self, earlier: DeliveryCounts) -> DeliveryCounts:
        """Return what was counted since earlier counts of the same load test."""
        return DeliveryCounts(
            judged=self.judged - earlier.judged,
            lost=self.lost - earlier.lost,
            wrong=self.wrong - earlier.wrong,
            failed=self.failed - earlier.failed,
        )
