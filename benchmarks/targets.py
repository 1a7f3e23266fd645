"""What is to be reached, and whether it was; pure.

A ratio, a latency or a size is judged by its median over the rounds; of what must not happen at
all, every round counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.samples import Connected, Delivered, values
from benchmarks.statistics import Spread, paired_ratios

ONE_BY_ONE = "one by one"
BURSTS = "bursts of 20"
FLOOD = "25 messages/s"
UNMEASURED = "nothing measured"  # stands where a round ran, and nothing came of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A limit.

    Attributes:
        measure: What is measured.
        limit: The largest value that is good enough, or the smallest.
        unit: "x" for a ratio, else the unit of limit and measured.
        measured: The spread over the rounds; None when a peer that it needs did not run.
        always: Whether every round must be within the limit, or the median.
        at_least: Whether `limit` is the smallest value.
        promise: Whether it must be kept on any machine, so that even a quick look fails else.
        lacking: What came of a round that has no figure though it ran, in a word: then it was not
            reached, whatever the others have. Empty: there is none.
    """

    measure: str
    limit: float
    unit: str
    measured: Spread | None
    always: bool = False
    at_least: bool = False
    promise: bool = False
    lacking: str = ""

    @classmethod
    def of(
        cls,
        measure: str,
        limit: float,
        unit: str,
        values: Sequence[float | None],
        *,
        absent: str = UNMEASURED,
        always: bool = False,
        at_least: bool = False,
        promise: bool = False,
    ) -> Target:
        """Return the target of values, one of each round that ran.

        Args:
            measure: What is measured.
            limit: See there.
            unit: See there.
            values: They; None: the round has none, as nothing came of it.
            absent: What to say of such a round.
            always: See there.
            at_least: See there.
            promise: See there.
        """
        there = [float(value) for value in values if value is not None]
        return cls(
            measure=measure,
            limit=limit,
            unit=unit,
            measured=_spread(there),
            always=always,
            at_least=at_least,
            promise=promise,
            lacking=absent if len(there) < len(values) else "",
        )

    @property
    def reached(self) -> bool | None:
        """Whether it was; None when it was not measured."""
        if self.lacking:
            return False
        if self.measured is None:
            return None
        if self.at_least:
            return (self.measured.low if self.always else self.measured.median) >= self.limit
        return (self.measured.high if self.always else self.measured.median) <= self.limit


def none_target(measure: str, counts: Sequence[float | None], *, promise: bool = True) -> Target:
    """Return the target of what must not happen at all: every count is 0, and none is None."""
    return Target.of(measure, 0, "", counts, always=True, promise=promise)


def broadcast_targets(samples: Sequence[Delivered]) -> list[Target]:
    """Return the targets of `broadcast`."""

    def of(field: str, peer: str, scenario: str) -> list[float | None]:
        """A figure by rounds; None where no client got anything."""
        where = {"peer": peer, "scenario": scenario}
        received = values(samples, "received", **where)
        found = values(samples, field, **where)
        return [value if some else None for value, some in zip(found, received, strict=True)]

    def ratio(measure: str, limit: float, ours: str, peer: str, theirs: str) -> Target:
        """CPU per delivery, ours against a peer's, round by round."""
        return _ratio(
            measure,
            limit,
            of("us_per_delivery", "ours", ours),
            of("us_per_delivery", peer, theirs),
        )

    return [
        ratio("CPU per delivery, one by one / send(2)", 1.8, ONE_BY_ONE, "send", ONE_BY_ONE),
        ratio("CPU per delivery, one by one / stock", 1 / 40, ONE_BY_ONE, "stock", ONE_BY_ONE),
        ratio("CPU per delivery, bursts / send(2) one by one", 0.45, BURSTS, "send", ONE_BY_ONE),
        ratio("CPU per delivery, 25 messages/s / send(2)", 3.0, FLOOD, "send", FLOOD),
        _ratio(
            "CPU per delivery with limits / without, one by one",
            1.02,
            of("us_per_delivery", "guarded", ONE_BY_ONE),
            of("us_per_delivery", "unguarded", ONE_BY_ONE),
        ),
        none_target("deliveries lost, 25 messages/s", of("lost", "ours", FLOOD), promise=False),
        Target.of("p95, 25 messages/s", 200, "ms", of("p95_ms", "ours", FLOOD)),
    ]


def connect_targets(samples: Sequence[Connected]) -> list[Target]:
    """Return the targets of `connect`."""
    return [
        _ratio(
            "CPU per connect with a subscription / Daphne doing nothing",
            0.4,
            values(samples, "ms_per_connect", peer="ours"),
            values(samples, "ms_per_connect", peer="idle"),
        ),
        Target(
            measure="memory per idle subscribed connection",
            limit=20,
            unit="KB",
            measured=_spread(values(samples, "kb_per_connection", peer="ours")),
        ),
        _ratio(
            "CPU per connect with a signed room / an open one",
            1.3,
            values(samples, "ms_per_connect", peer="signed"),
            values(samples, "ms_per_connect", peer="ours"),
        ),
        _ratio(
            "CPU per connect with limits / without",
            1.02,
            values(samples, "ms_per_connect", peer="guarded"),
            values(samples, "ms_per_connect", peer="unguarded"),
        ),
        _ratio(
            "CPU per connect with a session on SQLite / AuthMiddlewareStack on Daphne",
            0.4,
            values(samples, "ms_per_connect", peer="session"),
            values(samples, "ms_per_connect", peer="stocksession"),
        ),
    ]


def _spread(measured: list[float]) -> Spread | None:
    return Spread.of(measured) if measured else None


def _ratio(
    measure: str, limit: float, ours: Sequence[float | None], theirs: Sequence[float | None]
) -> Target:
    found = paired_ratios(ours, theirs) if ours and theirs else []
    return Target.of(measure, limit, "x", found)
