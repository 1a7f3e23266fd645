"""The broker that the records come from."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from demo.embedded import EmbeddedTansu

EMBEDDED = "embedded"
APACHE = "apache"


class Broker(Protocol):
    """What the benchmark does with a broker; it runs while a `with` block does."""

    @property
    def bootstrap_servers(self) -> str:
        """Its address."""

    @property
    def pid(self) -> int | None:
        """Its process."""

    def start(self) -> None:
        """Start it, on the port that it had."""

    def stop(self) -> None:
        """End it in order."""

    def kill(self) -> None:
        """End it as a crash does."""

    def create_topic(self, topic: str, *, partitions: int) -> object:
        """Make a topic."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def missing(kind: str) -> str:
    """Return what this machine lacks for a kind of broker; empty if nothing."""
    lacking = [tool for tool in ("java", "mvn") if kind == APACHE and shutil.which(tool) is None]
    return " and ".join(lacking)


def make_broker(kind: str, folder: Path) -> Broker:
    """Return a broker that is not started."""
    if kind == EMBEDDED:
        return EmbeddedTansu(directory=folder)
    # Only here: who has no Java need not have pytest either.
    from tests.apache_kafka import ApacheKafka

    return ApacheKafka(directory=folder)
