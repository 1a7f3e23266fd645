"""The command line; pure."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.admin.plans import PLANS as ADMIN
from benchmarks.balancer.plans import PLANS as BALANCER
from benchmarks.broadcast import SCENARIOS
from benchmarks.calm.plans import PLANS as CALM
from benchmarks.compression.plans import PLANS as COMPRESSION
from benchmarks.faults.brokers import APACHE, EMBEDDED
from benchmarks.faults.run import NAMES as FAULTS
from benchmarks.history.run import PLANS
from benchmarks.k6.plans import PLANS as K6
from benchmarks.kafka.plans import PLANS as KAFKA
from benchmarks.layer.layers import LAYERS
from benchmarks.layer.run import NAMES
from benchmarks.observing.plans import PLANS as OBSERVING
from benchmarks.outbox.plans import PLANS as OUTBOX
from benchmarks.peers import PEERS
from benchmarks.presence.plans import PLANS as PRESENCE
from benchmarks.regression.plans import PLANS as REGRESSION
from benchmarks.rolling.plans import PLANS as ROLLING
from benchmarks.scale.plans import PLANS as SCALE

_MEASURES = {
    "layer": tuple(NAMES),
    "history": tuple(PLANS),
    "presence": tuple(PRESENCE),
    "calm": tuple(CALM),
    "compression": tuple(COMPRESSION),
    "balancer": tuple(BALANCER),
    "rolling": tuple(ROLLING),
    "regression": tuple(REGRESSION),
    "scale": tuple(SCALE),
    "observing": tuple(OBSERVING),
    "outbox": tuple(OUTBOX),
    "admin": tuple(ADMIN),
    "kafka": tuple(KAFKA),
    "k6": tuple(K6),
}
_COUNT, _COUNT_QUICK = 50, 5  # random faults
_SEEDS = 10_000  # to choose from: short enough to be typed again
_WITHOUT = {
    "broadcast": {"idle", "signed", "session", "stocksession", "token", "jwt", "note"},
    "connect": {"send"},
}  # peers that say nothing there


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was asked for.

    Attributes:
        benchmark: Its name.
        peers: Names, in the order of the tables; of `layer` those of layers.
        scenarios: Names, of `broadcast`.
        measures: Names, of benchmarks that have several.
        rounds: None for each scenario's own.
        quick: Whether it is only a look whether all works.
        json: Where the results go.
        only: Names of faults.
        count: How many random faults.
        seed: Decides the random faults.
        kafka: The kind of broker.
        minutes: How long `soak` goes on.
        logs: Where data and logs of `faults` and `kafka` stay; None: they go when it ends.
        beside: Another checkout that `kafka` measures beside this one.
    """

    benchmark: str
    peers: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    rounds: int | None = None
    quick: bool
    json: Path
    only: tuple[str, ...] = ()
    count: int = 0
    seed: int = 0
    kafka: str = EMBEDDED
    logs: Path | None = None
    minutes: float = 0.0
    beside: Path | None = None


def read_arguments(words: Sequence[str]) -> Arguments:
    """Return what the words of a command line ask for; argparse ends the process on an error."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
    )
    parser.description = "Measure this project's worker beside its peers, in one run."
    benchmarks = parser.add_subparsers(dest="benchmark", required=True)
    for name, purpose in (
        ("broadcast", "CPU per delivery, rate and latency"),
        ("connect", "CPU and memory per connection"),
        ("layer", "calls of the channel layer beside those of channels_redis"),
        ("history", "what it costs to keep publications, and what outages and slow clients do"),
        ("balancer", "one port for many workers, beside HAProxy and stock Daphne"),
        ("rolling", "what clients see of a rolling restart, and how fast all come back"),
        ("scale", "what a delivery costs with more nodes and more Redis"),
        ("regression", "does it still cost what it did? for continuous integration"),
        ("hostile", "what strangers send: does the worker stand it, and do others notice?"),
        ("presence", "what it costs to know who is in a room, and what a dead node leaves"),
        ("calm", "what a room that is written to seldom saves a worker"),
        ("compression", "what it costs to compress a room's messages, and what it saves"),
        ("observing", "what it costs a worker that its figures are kept and read"),
        ("outbox", "how long it takes from a commit until a browser has its publication"),
        ("kafka", "what a Kafka record costs on its way to clients, beside a hand-written loop"),
        ("k6", "the headline with stock k6, and what Go's collector adds to it"),
        ("admin", "how long the list of 100,000 rooms takes, and holds up Redis"),
    ):
        command = benchmarks.add_parser(name, help=purpose, description=purpose)
        command.add_argument("--quick", action="store_true", help="small, one round: does it work?")
        command.add_argument("--rounds", type=_count, help="how often each peer has its turn")
        _add_json(command)
        if choices := list(_choices(name)):
            command.add_argument("--peers", nargs="+", choices=choices, default=choices)
        if name in _MEASURES:
            every = list(_MEASURES[name])
            command.add_argument("--measures", nargs="+", choices=every, default=every)
        if name == "broadcast":
            every = list(SCENARIOS)
            command.add_argument("--scenarios", nargs="+", choices=every, default=every)
        if name == "kafka":
            _add_kafka(command)
    _add_soak(benchmarks)
    _add_faults(benchmarks)
    asked = parser.parse_args(words)
    if asked.benchmark == "faults":
        return _faults(asked)
    if asked.benchmark == "soak":
        return _soak(asked)
    return Arguments(
        benchmark=asked.benchmark,
        peers=tuple(name for name in _choices(asked.benchmark) if name in asked.peers),
        scenarios=tuple(getattr(asked, "scenarios", ())),
        measures=tuple(getattr(asked, "measures", ())),
        rounds=asked.rounds,
        quick=asked.quick,
        json=_json(asked),
        kafka=getattr(asked, "kafka", None) or (EMBEDDED if asked.quick else APACHE),
        logs=getattr(asked, "logs", None),
        beside=getattr(asked, "beside", None),
    )


def _add_kafka(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--kafka",
        choices=(EMBEDDED, APACHE),
        help=f"the broker (default: {APACHE}; with --quick: {EMBEDDED})",
    )
    command.add_argument(
        "--beside",
        type=Path,
        metavar="PATH",
        help="another checkout of this project, with a .venv, to be measured in the same run",
    )
    command.add_argument("--logs", type=Path, help="keep data and logs in this folder")


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--json", type=Path, help="where the results go (default: var/benchmarks/…)"
    )


def _json(asked: argparse.Namespace) -> Path:
    return asked.json or Path("var", "benchmarks", f"{asked.benchmark}.json")


def _add_soak(benchmarks: Any) -> None:
    purpose = "clients come and go all the time: does the worker grow?"
    command = benchmarks.add_parser("soak", help=purpose, description=purpose)
    command.add_argument("--quick", action="store_true", help="some seconds: does it work?")
    command.add_argument(
        "--minutes", type=_minutes, default=60.0, help="how long (default: %(default)g)"
    )
    _add_json(command)


def _soak(asked: argparse.Namespace) -> Arguments:
    return Arguments(
        benchmark=asked.benchmark,
        quick=asked.quick,
        json=_json(asked),
        minutes=asked.minutes,
    )


def _minutes(word: str) -> float:
    value = float(word)
    if not 0.1 <= value < float("inf"):
        raise argparse.ArgumentTypeError("must be 0.1 at least")
    return value


def _add_faults(benchmarks: Any) -> None:
    purpose = "kill, stop and cut off one part after another: is anything lost, twice, disordered?"
    command = benchmarks.add_parser("faults", help=purpose, description=purpose)
    command.add_argument("--quick", action="store_true", help="a small system, five random faults")
    command.add_argument("--only", nargs="+", choices=FAULTS, default=FAULTS, metavar="NAME")
    command.add_argument("--count", type=_count, help=f"random faults (default: {_COUNT})")
    command.add_argument("--seed", type=int, help="decides the random faults (default: by chance)")
    command.add_argument(
        "--kafka",
        choices=(EMBEDDED, APACHE),
        default=EMBEDDED,
        help="the broker (default: %(default)s); what takes one that keeps its data over a "
        "restart runs on Apache Kafka in any case",
    )
    command.add_argument("--logs", type=Path, help="keep data and logs in this folder")
    _add_json(command)


def _faults(asked: argparse.Namespace) -> Arguments:
    return Arguments(
        benchmark=asked.benchmark,
        quick=asked.quick,
        json=_json(asked),
        only=tuple(name for name in FAULTS if name in asked.only),
        count=asked.count or (_COUNT_QUICK if asked.quick else _COUNT),
        seed=secrets.randbelow(_SEEDS) if asked.seed is None else asked.seed,
        kafka=asked.kafka,
        logs=asked.logs,
    )


def _choices(benchmark: str) -> Iterable[str]:
    if benchmark == "layer":
        return LAYERS
    if benchmark in (*_MEASURES, "hostile"):
        return ()
    return (peer for peer in PEERS if peer not in _WITHOUT[benchmark])


def _count(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 at least")
    return value
