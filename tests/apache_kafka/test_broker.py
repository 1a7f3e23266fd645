"""The real Kafka as the tests use it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from tests.apache_kafka import APACHE, ApacheKafka
from tests.waiting import wait_until

pytestmark = [pytest.mark.kafka, *APACHE]


def test_it_listens_on_loopback_only(apache_kafka: ApacheKafka) -> None:
    """Neither its clients' port nor its controller's is open to the network."""
    assert apache_kafka.pid is not None
    connections = psutil.Process(apache_kafka.pid).net_connections("inet")
    listening = {entry.laddr for entry in connections if entry.status == psutil.CONN_LISTEN}
    assert {address.ip.removeprefix("::ffff:") for address in listening} == {"127.0.0.1"}
    assert apache_kafka.port in {address.port for address in listening}


def test_its_log_is_short(apache_kafka: ApacheKafka) -> None:
    """It says what it does in its folder, without its hundreds of settings."""
    wait_until(lambda: "Kafka Server started" in apache_kafka.log_path.read_text())
    assert "log.retention.hours" not in apache_kafka.log_path.read_text()


def test_data_stays_in_its_folder(apache_kafka: ApacheKafka) -> None:
    """Its topics are below its directory, which goes with the test run."""
    apache_kafka.create_topic("in-folder", partitions=1)
    apache_kafka.create_topic("in-folder", partitions=1)  # changes nothing
    wait_until(Path(apache_kafka.directory, "data", "in-folder-0").is_dir)
