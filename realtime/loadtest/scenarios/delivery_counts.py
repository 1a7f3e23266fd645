"""How much did not arrive as promised."""

from __future__ import annotations

from dataclasses import dataclass

from realtime.loadtest.load_session import LoadSession


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliveryCounts:
    """Counts over all clients.

    Attributes:
        lost: Publications that clients did not get.
        wrong: Those that came twice, out of order, or to a client that is not in the room.
        failed: Publications that the deployment did not take.
    """

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
        counts = session.figures.counted("counts")
        return cls(
            lost=missing,
            wrong=counts["wrong"] + counts["doubled"] + counts["disordered"],
            failed=session.figures.failed,
        )

    def __add__(self, other: DeliveryCounts) -> DeliveryCounts:
        """Return the counts of both."""
        return DeliveryCounts(
            lost=self.lost + other.lost,
            wrong=self.wrong + other.wrong,
            failed=self.failed + other.failed,
        )

    def __sub__(self, earlier: DeliveryCounts) -> DeliveryCounts:
        """Return what was counted since earlier counts of the same load test."""
        return DeliveryCounts(
            lost=self.lost - earlier.lost,
            wrong=self.wrong - earlier.wrong,
            failed=self.failed - earlier.failed,
        )
