"""Apache Kafka in KRaft mode: broker and controller in one Java process."""

from __future__ import annotations

import asyncio
import base64
import signal
import subprocess
from pathlib import Path
from string import Template
from typing import ClassVar
from uuid import uuid4

from aiokafka.errors import KafkaError

from demo.embedded import EmbeddedServer, EmbeddedServerError, free_port
from demo.embedded.ports import answers
from realtime.kafka.brokers import Brokers, make_topic
from tests.apache_kafka.jars import kafka_jars
from tests.waiting import wait_until

HERE = Path(__file__).parent
SETTINGS = "server.properties"
FORMAT_TIMEOUT = 60.0  # seconds; it takes two


class ApacheKafka(EmbeddedServer):
    """One broker, that keeps its topics and groups over a restart.

    Args:
        directory: Where its data is; formatted at the first start.
    """

    name: ClassVar[str] = "Apache Kafka"
    # Seconds; 3 alone on a machine. More than 60 were seen, with 700 partitions on a busy one.
    start_timeout: ClassVar[float] = 180.0
    stop_timeout: ClassVar[float] = 15.0  # seconds
    # A broker that gets SIGTERM while it starts was seen to live on.
    orphan_signal: ClassVar[signal.Signals] = signal.SIGKILL

    @property
    def bootstrap_servers(self) -> str:
        """Its address as Kafka clients take it."""
        return self.address

    def command(self, port: int) -> list[str]:
        """Return the program and its arguments."""
        return self._java("-Xmx512m", "kafka.Kafka", SETTINGS)

    def prepare(self) -> None:
        """Write its settings, and format its folder unless that was done."""
        template = Template((HERE / SETTINGS).read_text())
        settings = template.substitute(port=self.port, controller_port=free_port())
        (self.directory / SETTINGS).write_text(settings)
        if not (self.directory / "data" / "meta.properties").exists():
            self._format()

    def is_up(self) -> bool:
        """Say whether it accepts connections, which it does once it takes part in its cluster."""
        return answers(self.port)

    def create_topic(self, topic: str, *, partitions: int) -> None:
        """Make a topic; one that exists stays as it is. Not for use inside an event loop."""
        brokers = Brokers(servers=[self.bootstrap_servers], options={})

        def is_made() -> bool:
            try:
                asyncio.run(make_topic(brokers, topic, partitions=partitions))
            except (OSError, KafkaError) as error:  # one that has just begun may be slow to answer
                if isinstance(error, KafkaError) and not error.retriable:
                    raise
                return False
            return True

        wait_until(is_made)

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", "format", "-t", cluster, "-c", SETTINGS),
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=FORMAT_TIMEOUT,
        )
        if done.returncode != 0:
            raise EmbeddedServerError(f"{self.name}: {done.stdout}{done.stderr}".strip())

    def _java(self, *arguments: str) -> list[str]:
        return [
            "java",
            # Threads and compilation as a process that lives for seconds likes them.
            *("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"),
            f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}",
            *("-cp", f"{kafka_jars()}/*"),
            *arguments,
        ]
