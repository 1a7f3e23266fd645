"""Orders to drain and to close: who can give one, and who can't."""

from __future__ import annotations

import time
from typing import Any

import orjson
import pytest
from django.core import signing
from pytest_django import Settings

from realtime.nodes.node_orders import (
    ORDER_LIFETIME,
    NodeOrder,
    NodeOrders,
    close_order,
    drain_order,
    read_order,
)
from realtime.rooms.room_names import NODES_ROOM
from shardlayer import ShardedChannelLayer
from tests.waiting import until


def test_order_is_read() -> None:
    """As it was given."""
    assert read_order(orjson.loads(drain_order("n1", "ada"))) == NodeOrder("ada", drain="n1")
    assert read_order(orjson.loads(close_order("c1", "ada"))) == NodeOrder("ada", close="c1")


@pytest.mark.parametrize(
    "data",
    [
        None,
        "drain",
        {"drain": "n1", "by": "ada"},
        {"order": 7},
        {"order": "n1"},
        {"order": signing.dumps({"drain": "n1", "by": "ada"})},  # signed for something else
        {"order": signing.dumps({"by": "ada"}, salt="realtime.nodes.drain")},
        {"order": signing.dumps(["n1"], salt="realtime.nodes.drain")},
        {"order": signing.dumps({"drain": "n1", "by": "ada"}, key="another", salt="any")},
    ],
)
def test_what_nobody_signed_is_no_order(data: object) -> None:
    """Whoever may publish to the room can't give one without the project's key."""
    assert read_order(data) is None


def test_other_key_signs_no_order(settings: Settings) -> None:
    """An order counts by this project's key alone."""
    order = orjson.loads(drain_order("n1", "ada"))
    settings.SECRET_KEY = "another one"
    assert read_order(order) is None


def test_old_order_counts_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who kept one can't give it again later."""
    order = orjson.loads(drain_order("n1", "ada"))
    now = time.time()
    monkeypatch.setattr("django.core.signing.time.time", lambda: now + ORDER_LIFETIME + 1)
    assert read_order(order) is None


class RecordingWorker:
    """Says how often it was told to drain."""

    def __init__(self) -> None:
        self.told = 0
        self.is_draining = False
        self.held = self.capacity = 0
        self.is_full = False
        self.is_joined = True

    def drain(self) -> None:
        self.told += 1
        self.is_draining = True

    def warn_of_blocking(self) -> None: ...


async def test_only_who_is_meant_drains(memory_layer: ShardedChannelLayer) -> None:
    """An order of another node, a forged one and a second one do nothing."""
    node = await memory_layer.node()
    worker = RecordingWorker()
    drained: list[Any] = []
    orders = NodeOrders(memory_layer, node, worker, on_drain=lambda: drained.append(1))
    await until(lambda: node.members(NODES_ROOM) == 1)
    await memory_layer.publish_reserved(
        NODES_ROOM, orjson.dumps({"drain": str(node.id), "by": "a client"})
    )
    await memory_layer.publish_reserved(NODES_ROOM, b'{"order":"forged"}')
    await memory_layer.publish_reserved(NODES_ROOM, drain_order("another", "ada"))
    await memory_layer.publish_reserved(NODES_ROOM, b"1e999")
    assert worker.told == 0
    for _ in range(2):
        await memory_layer.publish_reserved(NODES_ROOM, drain_order(str(node.id), "ada"))
    await until(lambda: worker.told)
    assert (worker.told, drained) == (1, [1])
    await orders.aclose()
    assert node.members(NODES_ROOM) == 0
