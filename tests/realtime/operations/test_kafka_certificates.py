"""Certificates for Kafka are read beside the event loop, which stands still for none of them."""

from __future__ import annotations

import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

import pytest
from pytest_django import Settings

from demo.embedded import free_port
from realtime.operations.dead_letters import look_at_letters, replay_letter, replay_letters
from realtime.operations.kafka_failures import KafkaUnavailable
from realtime.operations.kafka_look import look_at_kafka
from tests.contexts_made import contexts_made
from tests.waiting import PATIENCE


@pytest.mark.parametrize(
    "look",
    [
        lambda: look_at_kafka(within=PATIENCE),
        lambda: look_at_letters(count=1, within=PATIENCE),
        lambda: replay_letters(within=PATIENCE),
        lambda: replay_letter("topic", 0, 0, within=PATIENCE),
    ],
    ids=["group", "letters", "replay", "replay one"],
)
async def test_it_reads_them_in_a_thread(
    look: Callable[[], Awaitable[object]], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Operators' pages look every few seconds."""
    settings.REALTIME = {
        "KAFKA_TLS": True,
        "KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{free_port()}"],
        "KAFKA_TOPICS": ["topic"],
    }
    threads = contexts_made(monkeypatch)
    with suppress(KafkaUnavailable):
        await look()
    assert len(threads) == 1
    assert threads[0] is not threading.current_thread()
