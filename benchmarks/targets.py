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


def none_target(measure: str, counts: Sequence[float], *, promise: bool = True) -> Target:
    """Return the target of what must not happen at all: every count is 0."""
    measured = _spread([float(count) for count in counts])
    return Target(
        measure=measure, limit=0, unit="", measured=measured, always=True, promise=promise
    )


def broadcast_targets(samples: Sequence[Delivered]) -> list[Target]:
    """Return the targets of `broadcast`."""

    def ratio(measure: str, limit: float, ours: str, peer: str, theirs: str) -> Target:
        """CPU per delivery, ours against a peer's, round by round."""
        return _ratio(
            measure,
            limit,
            values(samples, "us_per_delivery", peer="ours", scenario=ours),
            values(samples, "us_per_delivery", peer=peer, scenario=theirs),
        )

    lost = values(samples, "lost", peer="ours", scenario=FLOOD)
    p95 = values(samples, "p95_ms", peer="ours", scenario=FLOOD)
    return [
        ratio("CPU per delivery, one by one / send(2)", 1.8, ONE_BY_ONE, "send", ONE_BY_ONE),
        ratio("CPU per delivery, one by one / stock", 1 / 40, ONE_BY_ONE, "stock", ONE_BY_ONE),
        ratio("CPU per delivery, bursts / send(2) one by one", 0.45, BURSTS, "send", ONE_BY_ONE),
        ratio("CPU per delivery, 25 messages/s / send(2)", 3.0, FLOOD, "send", FLOOD),
        _ratio(
            "CPU per delivery with limits / without, one by one",
            1.02,
            values(samples, "us_per_delivery", peer="guarded", scenario=ONE_BY_ONE),
            values(samples, "us_per_delivery", peer="unguarded", scenario=ONE_BY_ONE),
        ),
        none_target("deliveries lost, 25 messages/s", lost, promise=False),
        Target(measure="p95, 25 messages/s", limit=200, unit="ms", measured=_spread(p95)),
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


def _ratio(measure: str, limit: float, ours: list[float], theirs: list[float]) -> Target:
    measured = _spread(paired_ratios(ours, theirs)) if ours and theirs else None
    return Target(measure=measure, limit=limit, unit="x", measured=measured)
