"""What is measured of each layer, in slices that the layers take in turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from benchmarks.layer.bench import Bench
from benchmarks.layer.figures import Figure
from benchmarks.layer.layers import Layer
from benchmarks.machine import Placement

CONCURRENT = "group_send, 200 callers"
SYNC = "async_to_sync, 1 thread"
THREADS = "async_to_sync, 16 threads"
SEQUENTIAL = "group_send, one by one"
REDIS = "Redis CPU, batches of 100"
ROUND_TRIP = "send there and back, p50"
CONNECTIONS = "connections of a process"

NOTHING = "nothing"
"""The layer of figures that are of asgiref alone."""

BLOCKING = "ours-sync"
"""The layer of figures of our `group_send_sync`, which is called in place of `async_to_sync`."""

CALLERS = 200
MANY_THREADS = 16
BATCH = 100
GROUPS = 200  # enough that every one of 32 shards has some
WARM_UP = 0.2  # seconds that are not counted, before a slice

Measurement = Mapping[str, Any]
Measure = Callable[[Bench, float], Measurement]
"""Measures for some seconds: `value`, `unit`, and what else a Figure has."""


def _rate(bench: Bench, seconds: float, how: str, **arguments: int) -> Measurement:
    bench.send(how, seconds=min(WARM_UP, seconds), **arguments)
    return _as_rate(bench.send(how, seconds=seconds, **arguments))


def _as_rate(sent: Mapping[str, Any]) -> Measurement:
    calls = sent["sent"]
    return {
        "value": calls / sent["seconds"] if calls else None,
        "unit": "calls/s",
        "calls": calls,
        "caller_us": sent["cpu_us"] / calls if calls else 0.0,
        **_checked(sent),
    }


def _checked(sent: Mapping[str, Any]) -> Measurement:
    return {name: sent[name] for name in ("lost", "repeated", "failed")}


def _concurrent(bench: Bench, seconds: float) -> Measurement:
    return _rate(bench, seconds, "concurrently", callers=CALLERS)


def _sync(bench: Bench, seconds: float) -> Measurement:
    return _rate(bench, seconds, "synchronously", threads=1)


def _threads(bench: Bench, seconds: float) -> Measurement:
    return _rate(bench, seconds, "synchronously", threads=MANY_THREADS)


def _sequential(bench: Bench, seconds: float) -> Measurement:
    return _rate(bench, seconds, "concurrently", callers=1)


def _redis(bench: Bench, seconds: float) -> Measurement:
    bench.send("batches", seconds=min(WARM_UP, seconds), size=BATCH)
    before = bench.redis_cpu_ns()
    sent = bench.send("batches", seconds=seconds, size=BATCH)
    used = bench.redis_cpu_ns() - before  # the member has got it all
    calls = sent["sent"]
    value = used / calls / 1e3 if calls else None
    return {"value": value, "unit": "µs", "calls": calls, **_checked(sent)}


def _round_trip(bench: Bench, seconds: float) -> Measurement:
    bench.round_trips(seconds=min(WARM_UP, seconds))
    found = bench.round_trips(seconds=seconds)
    return {
        "value": found["p50_ms"],
        "unit": "ms",
        "calls": found["count"],
        "lost": found["lost"],
    }


def _connections(bench: Bench, seconds: float) -> Measurement:
    found = bench.alone(GROUPS)
    return {
        "value": found["connections"],
        "unit": "",
        "calls": found["sent"],
        **_checked(found),
    }


MEASURES: dict[str, dict[str, Measure]] = {
    "concurrent": {CONCURRENT: _concurrent},
    "sync": {SYNC: _sync, THREADS: _threads},
    "sequential": {SEQUENTIAL: _sequential},
    "redis": {REDIS: _redis},
    "round-trip": {ROUND_TRIP: _round_trip},
    "connections": {CONNECTIONS: _connections},
}
"""The measures that each name of the command line stands for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calls:
    """The measures of calls: all layers stand side by side and take turns of `seconds`."""

    seconds: float = 2.0
    rounds: int = 7

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        return replace(self, seconds=0.3, rounds=1)

    def run(
        self, names: Sequence[str], layers: Sequence[Layer], placement: Placement, folder: Path
    ) -> Iterator[Figure]:
        """Yield the figures of all rounds."""
        measures = {
            title: measure for name in names for title, measure in MEASURES.get(name, {}).items()
        }
        for round in range(1, self.rounds + 1) if measures else ():
            with ExitStack() as stack:
                benches = [stack.enter_context(Bench(layer, placement, folder)) for layer in layers]
                for bench in benches:
                    bench.verify()
                for title, measure in measures.items():
                    if title in _THREADS:
                        yield self._nothing(benches[0], title, round)
                    # There and back again: a steady drift favours nobody.
                    for bench in benches if round % 2 else reversed(benches):
                        found = measure(bench, self.seconds)
                        yield Figure(measure=title, layer=bench.layer.name, round=round, **found)
                        if title in _THREADS and bench.layer.name == "ours":
                            found = _rate(bench, self.seconds, "blocking", threads=_THREADS[title])
                            yield Figure(measure=title, layer=BLOCKING, round=round, **found)

    def _nothing(self, bench: Bench, title: str, round: int) -> Figure:
        sent = bench.sender.ask(
            "do_nothing", self.seconds + 10.0, threads=_THREADS[title], seconds=self.seconds
        )
        found = _as_rate({**sent, "lost": 0, "repeated": 0})
        return Figure(measure=title, layer=NOTHING, round=round, **found)


_THREADS = {SYNC: 1, THREADS: MANY_THREADS}
