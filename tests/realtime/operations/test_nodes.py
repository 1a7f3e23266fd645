"""What any machine knows of the workers of all machines: real workers on a real Redis."""

from __future__ import annotations

import importlib
import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from pytest_django import Settings
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Origin

from demo.embedded import EmbeddedValkey
from realtime.operations import (
    CannotDrain,
    NodeStatus,
    disconnect_client,
    drain,
    kafka,
    nodes,
    overview,
    room_members,
    shards,
)
from shardlayer import __version__
from shardlayer.core.sharding import shard_of
from tests.realtime.conftest import channel_layers
from tests.realtime.operations.deployment import INTERVAL, LEASE, Deployment
from tests.realtime.process import Process
from tests.server.client import RawClient, request
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

ROOM = "machine.m"


@pytest.fixture
def deployment(redis_server: EmbeddedValkey, tmp_path: Path, settings: Settings) -> Deployment:
    """No process yet; this one reads the same Redis."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = {"CHECK_TIMEOUT": 10}
    return Deployment(redis_server, tmp_path)


@pytest.fixture
def workers(deployment: Deployment) -> Iterator[list[tuple[Process, int]]]:
    """Two workers, whose reports are here."""
    first, second = deployment.worker("--capacity", "50"), deployment.worker()
    with first[0], second[0]:
        for process, port in (first, second):
            process.serves(port)
        wait_until(lambda: len(nodes().nodes) == 2)
        yield [first, second]


@contextmanager
def client(port: int) -> Iterator[ClientConnection]:
    """Yield a client in ROOM."""
    url = f"ws://127.0.0.1:{port}/ws/?room={ROOM}"
    with connect(url, origin=Origin(f"http://127.0.0.1:{port}")) as connected:
        assert "subscribed" in json.loads(connected.recv(PATIENCE))
        yield connected


def of(process: Process) -> NodeStatus | None:
    """Return what is known of a process."""
    return next((node for node in nodes().nodes if node.pid == process.pid), None)


def test_each_worker_is_seen(workers: list[tuple[Process, int]]) -> None:
    """Who they are, what they hold, what they do; and the sums of it."""
    (first, port), (second, _) = workers
    with client(port) as one, client(port):
        found: list[NodeStatus] = []

        def is_busy() -> bool:
            # Each time: a rate is that of the last interval.
            one.send(json.dumps({"id": 1, "publish": {"room": ROOM, "data": 1}}))
            node = of(first)
            if node is None or not (node.deliveries and node.publications):
                return False
            found.append(node)
            return (node.connections, node.subscriptions) == (2, 2)

        wait_until(is_busy)
        node = found[-1]
        assert (node.role, node.version, node.capacity) == ("worker", __version__, 50)
        assert time.time() - 300 < node.started < time.time()
        assert (node.connections, node.rooms, node.subscriptions) == (2, 1, 2)
        assert (node.can_drain, node.is_draining, node.is_late) == (True, False, False)
        assert node.fill == pytest.approx(2 / 50)
        assert node.memory is not None
        assert node.memory > 10_000_000
        assert node.tasks
        assert node.cpu is not None
        assert node.loop_delay is not None
        assert node.publications
        assert node.lease_ttl is not None
        wait_until(lambda: (seen := of(first)) is not None and seen.lease_age is not None)
        other = of(second)
        assert other is not None
        assert (other.connections, other.rooms) == (0, 0)
        assert other.capacity is not None
        seen = shards()
        shard = seen.shards[shard_of(ROOM, 32)]
        assert (shard.state, shard.since, shard.rooms, shard.subscriptions) == ("up", None, 1, 2)
        assert shard.batch_p50 is not None
        assert shard.call_p99 is not None
        assert 0 < shard.call_p50 <= shard.call_p99  # type: ignore[operator]
        assert seen.shards[(shard.shard + 1) % 32].rooms == 0
        assert [server.why for server in seen.servers] == [""]
        assert seen.servers[0].memory
        total = overview()
        assert total.is_known
        assert (total.workers, total.pools, total.relays) == (2, 0, 0)
        assert (total.connections, total.subscriptions) == (2, 2)
        assert total.capacity == (50 + other.capacity if other.capacity else 0)
        assert (total.rooms, total.rooms_most) == (1, 1)
        assert (total.shards_up, total.servers_up, total.servers) == (32, 1, 1)
        assert [t for t in total.troubles if t.kind in ("down", "unknown", "full")] == []


def test_last_minutes_outlive_a_worker(workers: list[tuple[Process, int]]) -> None:
    """What was delivered stays counted, though who delivered it is gone."""
    (first, port), (second, _) = workers
    with client(port) as one:
        for number in range(10):
            command = {"id": number + 1, "publish": {"room": ROOM, "data": number}}
            one.send(json.dumps(command))
        for _ in range(20):  # the answers, and the pushes
            one.recv(PATIENCE)

    def delivered() -> float:
        recent = overview().recent
        assert recent is not None
        return sum(value or 0 for value in recent.series["deliveries"]) * recent.step

    wait_until(lambda: delivered() >= 10)  # once it was told, and its step is over
    first.send(signal.SIGKILL)
    wait_until(lambda: of(first) is None)
    assert delivered() >= 10
    assert second.runs()


def test_killed_worker_is_gone_after_its_lease(workers: list[tuple[Process, int]]) -> None:
    """Nobody tells that it died: it is forgotten by itself, and it is late before."""
    (first, _), (second, _) = workers
    first.send(signal.SIGKILL)
    wait_until(lambda: not first.runs())
    died = time.monotonic()
    wait_until(lambda: (node := of(first)) is None or node.is_late)
    wait_until(lambda: of(first) is None)
    assert time.monotonic() - died < LEASE + INTERVAL + 5  # a busy machine is slow to look
    [lost] = nodes().lost
    assert (lost.pid, lost.is_lost, lost.role) == (first.pid, True, "worker")
    total = overview()
    assert total.workers == 1
    assert [(t.kind, t.name) for t in total.troubles if t.kind == "down"] == [("down", lost.id)]
    wait_until(lambda: (node := of(second)) is not None and not node.is_late)


def test_worker_that_ends_is_gone_at_once(workers: list[tuple[Process, int]]) -> None:
    """It takes its report with it."""
    (first, _), (second, _) = workers
    first.stop()
    known = nodes()
    assert [node.pid for node in known.nodes] == [second.pid]
    assert known.lost == ()


def test_workers_are_asked_about_a_room(
    workers: list[tuple[Process, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each says who its members are; of one that hangs it is unknown, and nobody waits long."""
    (first, port), (second, other_port) = workers
    asking = importlib.import_module("realtime.operations.room_members")
    monkeypatch.setattr(asking, "ANSWER_TIME", 5.0)
    with client(port) as one, client(other_port):
        found = room_members(ROOM)
        assert (found.total, found.silent, found.why) == (2, (), "")
        mine, others = of(first), of(second)
        assert mine is not None
        assert others is not None
        by_node = {member.node: member.facts for member in found.members}
        assert by_node.keys() == {mine.id, others.id}
        facts = by_node[mine.id]
        assert (facts.user, facts.address, facts.waiting) == (None, "127.0.0.1", 0)
        assert time.time() - 300 < facts.since <= time.time()
        second.send(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            found = room_members(ROOM)
            took = time.monotonic() - begun
        finally:
            second.send(signal.SIGCONT)
        assert ([member.node for member in found.members], found.silent) == (
            [mine.id],
            (others.id,),
        )
        assert took < 20  # five seconds, and a busy machine
        disconnect_client(facts.client, by="ada")
        with pytest.raises(ConnectionClosed):
            one.recv(PATIENCE)
        assert one.close_code == 4002
    with pytest.raises(ValueError, match="is not the id of a connection"):
        disconnect_client("short", by="ada")


def test_worker_is_drained_from_here(workers: list[tuple[Process, int]]) -> None:
    """It does as on SIGTERM: its clients are sent away, and it ends; the other one goes on."""
    (first, port), (second, _) = workers
    node = of(first)
    assert node is not None
    with client(port) as one:
        answer = drain(node.id, by="ada")
        assert answer.node.pid == first.pid
        wait_until(lambda: not first.runs())
        assert "Told to drain by ada" in first.output()
        with suppress(ConnectionClosed):
            for _ in one:
                pass
        assert one.close_code in (1001, 1012)
    assert second.runs()
    wait_until(lambda: of(first) is None)
    with pytest.raises(CannotDrain, match="no process"):
        drain(node.id, by="ada")


def test_signal_after_an_order_does_not_cut_it_short(workers: list[tuple[Process, int]]) -> None:
    """A supervisor that stops a worker which drains already waits for it, and kills nobody."""
    (first, port), _ = workers
    node = of(first)
    assert node is not None
    connection = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
    opening = request(f"/ws/?room={ROOM}", Origin=f"http://127.0.0.1:{port}")
    with RawClient(connection, opening) as silent:  # it answers no close, and is waited for
        assert silent.status == 101
        drain(node.id, by="ada")
        first.send(signal.SIGTERM)
        wait_until(lambda: not first.runs())
    assert first._process is not None
    assert first._process.returncode == 0, first.output()


def test_dead_redis_is_unknown_in_time(
    deployment: Deployment, workers: list[tuple[Process, int]], settings: Settings
) -> None:
    """Nothing is said to be 0, nothing hangs, the workers go on, and it is all there again."""
    settings.REALTIME = {"CHECK_TIMEOUT": 1}
    stopped = time.time()
    deployment.redis.stop()
    begun = time.monotonic()
    seen, total, state = nodes(), overview(), shards()
    assert time.monotonic() - begun < 3 * 1 + 5  # three looks, on a busy machine
    assert not seen.is_known
    assert seen.why
    assert list(seen.silent) == [shards().servers[0].address]
    assert (total.connections, total.workers, total.recent) == (None, None, None)
    assert (total.servers_up, total.shards_up) == (0, 0)
    assert total.troubles[0].kind == "down"
    assert {shard.state for shard in state.shards} == {"down"}
    assert {shard.rooms for shard in state.shards} == {None}
    for process, _ in workers:
        assert process.runs()
    with pytest.raises(CannotDrain, match="not known"):
        drain("any", by="ada")
    deployment.redis.start()
    settings.REALTIME = {"CHECK_TIMEOUT": 10}
    wait_until(lambda: len(nodes().nodes) == 2)

    def is_back() -> bool:
        """Both workers have told that they hear it again."""
        shard = shards().shards[0]
        return shard.state == "up" and shard.since is not None and shard.since > stopped

    wait_until(is_back)


def test_hanging_redis_is_unknown_in_time(
    deployment: Deployment, workers: list[tuple[Process, int]], settings: Settings
) -> None:
    """A server that takes connections and answers nothing is waited for once, and no longer."""
    assert nodes().is_known
    settings.REALTIME = {"CHECK_TIMEOUT": 0.5}
    server = deployment.redis.pid
    assert server is not None
    os.kill(server, signal.SIGSTOP)
    try:
        for look in (nodes, shards, kafka, overview):
            begun = time.monotonic()
            found = look()
            assert time.monotonic() - begun < 0.5 + 20  # a busy machine
            assert len(found.silent) == 1
            assert "0.5 s" in next(iter(found.silent.values()))
        assert overview().connections is None
    finally:
        os.kill(server, signal.SIGCONT)
    settings.REALTIME = {"CHECK_TIMEOUT": 10}
    wait_until(lambda: len(nodes().nodes) == 2)


def test_nothing_is_told_where_it_is_off(deployment: Deployment, settings: Settings) -> None:
    """With NODE_INTERVAL 0 it is said that nobody tells, and not that nobody is there."""
    settings.REALTIME = {"NODE_INTERVAL": 0, "CHECK_TIMEOUT": 10}
    seen = nodes()
    assert (seen.is_known, seen.nodes) == (False, ())
    assert "NODE_INTERVAL" in seen.why
