"""The command line; pure."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broadcast import SCENARIOS
from benchmarks.layer.layers import LAYERS
from benchmarks.layer.run import NAMES
from benchmarks.peers import PEERS

_WITHOUT = {"broadcast": {"idle"}, "connect": {"send"}}  # peers that say nothing there


@dataclass(frozen=True, slots=True, kw_only=True)
class Arguments:
    """What was asked for.

    Attributes:
        benchmark: "broadcast", "connect" or "layer".
        peers: Names, in the order of the tables; of `layer` those of layers.
        scenarios: Names, of `broadcast`.
        measures: Names, of `layer`.
        rounds: None for each scenario's own.
        quick: Whether it is only a look whether all works.
        json: Where the results go.
    """

    benchmark: str
    peers: tuple[str, ...]
    scenarios: tuple[str, ...]
    measures: tuple[str, ...]
    rounds: int | None
    quick: bool
    json: Path


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
    ):
        command = benchmarks.add_parser(name, help=purpose, description=purpose)
        command.add_argument("--quick", action="store_true", help="small, one round: does it work?")
        command.add_argument("--rounds", type=_count, help="how often each peer has its turn")
        command.add_argument(
            "--json", type=Path, help="where the results go (default: var/benchmarks/…)"
        )
        choices = list(_choices(name))
        command.add_argument("--peers", nargs="+", choices=choices, default=choices)
        if name == "layer":
            every = list(NAMES)
            command.add_argument("--measures", nargs="+", choices=every, default=every)
        if name == "broadcast":
            every = list(SCENARIOS)
            command.add_argument("--scenarios", nargs="+", choices=every, default=every)
    asked = parser.parse_args(words)
    return Arguments(
        benchmark=asked.benchmark,
        peers=tuple(name for name in _choices(asked.benchmark) if name in asked.peers),
        scenarios=tuple(getattr(asked, "scenarios", ())),
        measures=tuple(getattr(asked, "measures", ())),
        rounds=asked.rounds,
        quick=asked.quick,
        json=asked.json or Path("var", "benchmarks", f"{asked.benchmark}.json"),
    )


def _choices(benchmark: str) -> Iterable[str]:
    if benchmark == "layer":
        return LAYERS
    return (peer for peer in PEERS if peer not in _WITHOUT[benchmark])


def _count(word: str) -> int:
    value = int(word)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 at least")
    return value
