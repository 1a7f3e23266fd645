"""`loadtest broadcast --through kafka`: records that the deployment's pool publishes."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from demo.embedded import EmbeddedTansu
from tests.realtime.loadtest.load_site import LoadSite
from tests.realtime.process import Process, manage

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("loadtest"), pytest.mark.kafka]


def test_records_reach_every_client(
    load_site: LoadSite, kafka_broker: EmbeddedTansu, tmp_path: Path
) -> None:
    """Once and in order, with the delay from the producer's call to the client."""
    topic, brokers = f"load-{uuid4().hex[:8]}", kafka_broker.bootstrap_servers
    kafka_broker.create_topic(topic, partitions=4)
    command = manage("runkafka", "--topics", topic, "--group", topic, "--bootstrap", brokers)
    with Process(command, log=tmp_path / "pool.log", **load_site.environment) as pool:
        pool.says("Reading")
        tested = load_site.test(
            *("broadcast", "--clients", "8", "--rooms", "2", "--rate", "40", "--seconds", "1"),
            *("--through", "kafka", "--topic", topic, "--bootstrap", brokers, "--json"),
        )
    assert tested.code == 0, tested.errors
    figures = tested.report["figures"]
    assert figures["deliveries"] + figures.get("recovered", 0) == 40 * 4
    assert figures["lost"] == figures.get("doubled", 0) == 0
