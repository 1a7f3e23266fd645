"""What is measured beside each other: this code, another checkout of it, and what one writes first.

A side is how its three processes are started: what reads Kafka, what serves clients, and what
publishes where Kafka has no part. Redis, Kafka, the producer and the clients are the same for all.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.greeting import Greeting, Step
from benchmarks.peers.ours.peer import OURS as PEER

OURS, BESIDE, LOOP = "ours", "beside", "loop"
SEPARATE = "separate"

_HERE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """How the processes of one side are started.

    Attributes:
        name: For the results.
        directory: The checkout that its processes run in.
        python: The interpreter.
        reader: What reads Kafka: a module with its arguments; `{servers}`, `{topic}` and `{redis}`
            are filled in. Empty: each worker does so itself.
        worker: What serves clients, likewise; `{port}` too.
        greeting: How a client gets into its room.
        environment: Variables of all of them.
    """

    name: str
    directory: Path
    python: str
    reader: tuple[str, ...]
    worker: tuple[str, ...]
    greeting: Greeting
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_layer(self) -> bool:
        """Whether it has a channel layer to publish to."""
        return self.name in (OURS, BESIDE)


def checkout(name: str, directory: Path, python: str) -> Side:
    """Return the side that a checkout of this project is."""
    module = PEER.environment["DJANGO_SETTINGS_MODULE"]
    has_rules = directory.joinpath(*module.split(".")).with_suffix(".py").exists()
    return Side(
        name=name,
        directory=directory,
        python=python,
        reader=(
            *("django", "runkafka", "--topics", "{topic}", "--group", "{topic}"),
            *("--from", "earliest"),
        ),
        worker=(
            *("shardlayer.server", "-v", "0", "-b", "127.0.0.1", "-p", "{port}"),
            "config.asgi:application",
        ),
        greeting=Greeting(path="/ws/?room=room-{room}", steps=(Step(expect='{"id":0,"sub'),)),
        environment={
            **PEER.environment,
            # Before there were rules for rooms, everybody was let into all.
            "DJANGO_SETTINGS_MODULE": module if has_rules else "config.settings",
        },
    )


def ours() -> Side:
    """Return this checkout."""
    return checkout(OURS, _HERE, sys.executable)


def beside(directory: Path) -> Side:
    """Return another checkout, whose packages are in its `.venv`."""
    directory = directory.resolve()
    return checkout(BESIDE, directory, str(directory / ".venv" / "bin" / "python"))


def loop() -> Side:
    """Return what one writes first: aiokafka, PUBLISH, and `websockets`, without a layer."""
    return Side(
        name=LOOP,
        directory=_HERE,
        python=sys.executable,
        reader=("benchmarks.kafka.hand_written.reader", "{servers}", "{topic}", "{redis}"),
        worker=("benchmarks.kafka.hand_written.worker", "{port}", "{redis}"),
        greeting=Greeting(path="/ws/?room=room-{room}", steps=(Step(expect="subscribed"),)),
    )


def separate() -> Side:
    """Return what needs no pool: each worker has a consumer of all partitions, and no layer."""
    return Side(
        name=SEPARATE,
        directory=_HERE,
        python=sys.executable,
        reader=(),
        worker=(
            *("benchmarks.kafka.hand_written.consuming_worker", "{port}"),
            *("{servers}", "{topic}"),
        ),
        greeting=loop().greeting,
    )
