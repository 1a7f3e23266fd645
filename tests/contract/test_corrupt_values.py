"""Keys that hold what the layer never put there, under every script, on real servers.

No outage: nothing waits for it to pass, other rooms go on, and what was lost is told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import islice
from typing import Any

import pytest

from shardlayer.broker.presence_values import Announcement, Attendee
from shardlayer.broker.redis.keys import ShardKeys
from shardlayer.broker.redis.redis_broker import RedisBackend
from shardlayer.core import wire
from shardlayer.core.exceptions import ScriptFailed
from shardlayer.core.options import LayerOptions
from shardlayer.core.sharding import hash_tags
from shardlayer.core.types import Mark, NodeId, Position, RoomInfo
from shardlayer.layer import ShardedChannelLayer
from tests.contract.conftest import MakeBackend, MakeLayer
from tests.contract.places import Place
from tests.shardlayer.fakes import RecordingSink
from tests.waiting import until

PLACES = ["password", "four", "tls", "cluster"]
OUTAGE = 30.0  # seconds that an outage is waited for
QUICK = OUTAGE / 3  # seconds; a busy machine takes some of them
ROOM, CHANNEL, SOURCE, KEY = "orders", "tasks", "topic/0", "k"

pytestmark = pytest.mark.parametrize("place", PLACES, indirect=True)

Tell = Callable[..., Awaitable[Any]]
"""Sends a command to the server of ROOM's shard."""


@pytest.fixture
def make_layer(make_layer: MakeLayer) -> MakeLayer:
    """A maker of layers that wait for an outage for long, so that it can't be overlooked."""
    return partial(make_layer, publish_timeout=OUTAGE)


@pytest.fixture
def make_backend(make_backend: MakeBackend) -> MakeBackend:
    """The same of backends."""
    return partial(make_backend, publish_timeout=OUTAGE)


@pytest.fixture
def keys(place: Place) -> ShardKeys:
    """The names of ROOM's shard."""
    options = LayerOptions.from_config(**place.config)
    layer = ShardedChannelLayer(**place.config)
    return ShardKeys(hash_tags(options.prefix, options.shards)[layer.shard_of(ROOM)])


@pytest.fixture
def tell(make_backend: MakeBackend, keys: ShardKeys, place: Place) -> Tell:
    """Sends a command to where ROOM's shard is."""
    backend = make_backend()
    assert isinstance(backend, RedisBackend)
    shard = ShardedChannelLayer(**place.config).shard_of(ROOM)
    return lambda *command: backend._execute(shard, *command)


def neighbours(layer: ShardedChannelLayer, count: int) -> list[str]:
    """Return names of rooms in ROOM's shard."""
    shard = layer.shard_of(ROOM)
    names = (f"room-{number}" for number in range(100_000))
    return list(islice((name for name in names if layer.shard_of(name) == shard), count))


async def promptly(layer: ShardedChannelLayer, room: str, data: bytes) -> Position:
    """Publish, and fail if that takes as long as an outage does."""
    begun = time.monotonic()
    position = await layer.publish(room, data)
    assert time.monotonic() - begun < QUICK
    assert position is not None
    return position


async def test_history_of_a_wrong_type(
    make_layer: MakeLayer, keys: ShardKeys, tell: Tell, caplog: pytest.LogCaptureFixture
) -> None:
    """Its room goes on under a new epoch, and is told; rooms of the same batches notice nothing."""
    layer = make_layer()
    others = neighbours(layer, 5)
    sink = RecordingSink()
    (await (await layer.node()).join(ROOM, sink)).release()
    before = [await layer.publish(room, b"1") for room in (ROOM, *others)]
    await until(lambda: len(sink.texts) == 1)
    await tell("DEL", keys.history(ROOM))
    await tell("SET", keys.history(ROOM), "foreign")
    rooms = [*others, ROOM, *others, ROOM]
    after = await asyncio.gather(*(promptly(layer, room, b"2") for room in rooms))
    assert [each.offset for each in after] == [2] * 5 + [1] + [3] * 5 + [2]
    assert [each.epoch for each in after[:5]] == [each.epoch for each in before[1:] if each]
    assert before[0] is not None
    assert after[5].epoch not in ("", before[0].epoch)
    await until(lambda: len(sink.texts) == 4)
    assert b'"reset"' in sink.texts[1]
    said = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert len(said) == 1
    assert ROOM in said[0].getMessage()
    assert "publish" in said[0].getMessage()


async def test_history_ahead_of_its_meta(
    make_layer: MakeLayer, keys: ShardKeys, tell: Tell
) -> None:
    """What an earlier release left behind: "ID equal or smaller" is no outage either."""
    layer = make_layer()
    first = await promptly(layer, ROOM, b"1")
    await tell("XADD", keys.history(ROOM), "900-0", "p", "x")
    second, other = await asyncio.gather(
        promptly(layer, ROOM, b"2"), promptly(layer, neighbours(layer, 1)[0], b"1")
    )
    assert second.epoch != first.epoch
    assert other.offset == 1
    joined = await (await layer.node()).join(ROOM, RecordingSink(), since=first)
    assert not joined.recovered
    assert [each.data for each in joined.publications] == [b"2"]


@pytest.mark.parametrize(
    ("entry", "fields"),
    [("2-0", ("p", "x")), ("2-0", ("other", "thing")), ("2-7", ("p", "x")), ("900-0", ("p", "x"))],
)
async def test_foreign_entry_in_a_history(
    make_layer: MakeLayer, keys: ShardKeys, tell: Tell, entry: str, fields: tuple[str, str]
) -> None:
    """Who joins is told that something is gone, and never gets what the layer did not write."""
    layer = make_layer()
    first = await promptly(layer, ROOM, b"1")
    await tell("XADD", keys.history(ROOM), entry, *fields)
    assert [each.data for each in await layer.history(ROOM)] == [b"1"]
    await tell("SET", keys.meta(ROOM), f"2 {first.epoch} ")
    node = await layer.node()
    for _ in range(2):
        joined = await node.join(ROOM, RecordingSink(), since=first)
        assert not joined.recovered
        assert joined.publications == []
    second = await promptly(layer, ROOM, b"2")
    assert second.epoch != first.epoch
    assert [each.data for each in await layer.history(ROOM)] == [b"2"]


@pytest.mark.parametrize(
    "fields",
    [
        (),
        ("t", "yesterday"),
        ("t", "9" * 400),
        ("other", "7"),
        ("t", "7", b"\xff/0", "9" * 400),
        ("t", "7", "events/0", ""),
    ],
)
async def test_times_and_sources_that_say_nothing(
    make_layer: MakeLayer, keys: ShardKeys, tell: Tell, fields: tuple[str | bytes, ...]
) -> None:
    """What an earlier release wrote, or somebody else, is read all the same, without a time."""
    layer = make_layer()
    first = await promptly(layer, ROOM, b"1")
    body = wire.pack_body(wire.Kind.PUBLICATION, ROOM, b"2")
    await tell("XADD", keys.history(ROOM), "2-0", "p", body, *fields)
    await tell("SET", keys.meta(ROOM), f"2 {first.epoch} ")
    held = await layer.history(ROOM)
    assert [each.data for each in held] == [b"1", b"2"]
    assert held[0].time is not None
    assert held[1].mark is None
    assert held[1].time == (2e9 + 0.7 if fields[:2] == ("t", "7") else None)


async def use_everything(layer: ShardedChannelLayer, backend: RedisBackend, turn: int) -> None:
    """Run every script on ROOM's shard; fail where one waits, or what is published is not heard."""
    shard, other = layer.shard_of(ROOM), neighbours(layer, 1)[0]
    channel = neighbours(layer, 2)[1]
    node, sink = await layer.node(), RecordingSink()
    (await node.join(ROOM, sink)).release()
    await layer.group_add(ROOM, channel)
    await layer.group_send(ROOM, {"type": "group", "number": turn})
    assert (await layer.receive(channel))["number"] == turn
    await layer.group_discard(ROOM, channel)
    for number in range(3):
        await layer.send(channel, {"type": "sent", "number": number})
        assert (await layer.receive(channel))["number"] == number
    marks = Mark(SOURCE, 2 * turn), Mark(SOURCE, 2 * turn + 1)
    await layer.publish_marked([(ROOM, b"1", marks[0]), (other, b"2", marks[1])])
    await layer.publish(ROOM, b"3", idempotency_key=KEY)
    await promptly(layer, ROOM, b"4")
    await promptly(layer, other, b"5")
    await until(lambda: sink.texts and sink.texts[-1].endswith(b'"data":4}'))
    node.leave(ROOM, sink)
    assert await backend.marks(shard, [SOURCE]) == [marks[1]]
    await backend.renew(shard, node.id)
    await backend.report(shard, node.id, {ROOM: 3})
    assert await backend.positions(shard, [ROOM]) != [None]
    await backend.prune(shard, [ROOM])
    assert (await layer.room_info(ROOM)).nodes == {node.id: 3}
    await use_presence(backend, shard, node.id, turn)
    await use_orders(backend, shard, node.id)
    assert await backend.report_process(shard, "process", b"1", ttl=9, totals={"sent": 1})
    known = await backend.process_reports(shard)
    assert "process" in [report.process for report in known.reports]
    assert all(step["sent"] for step in known.totals.values())
    assert [each.data for each in await layer.history(ROOM)][-1] == b"4"


async def use_orders(backend: RedisBackend, shard: int, node: NodeId) -> None:
    """Tell the node of a channel, and wait until it has taken that."""
    for add in (True, False):
        assert await backend.enroll(shard, ROOM, f"specific.{node}!1", node=node, add=add)

    async def taken() -> bool:
        return not await backend.orders(shard, node)

    await until(taken)


async def use_presence(backend: RedisBackend, shard: int, node: NodeId, turn: int) -> None:
    """Come to ROOM and go; announce all again where something was lost."""
    ada, bob = Attendee(ROOM, "ada", "1"), Attendee(ROOM, "bob", f"{turn}")
    number = 10 * turn + 1
    await backend.announce(shard, Announcement(node, number, [ada, bob]))
    found = await backend.roll(shard, node)
    if ada not in found or (await backend.present(shard, ROOM)).people < 2:
        await backend.announce(shard, Announcement(node, number + 1, [ada, bob]))
    await backend.recount(shard, [ROOM])
    page = await backend.present(shard, ROOM, limit=9)
    assert {"ada", "bob"} == {person.name for person in page.persons}
    assert page.people == 2
    await backend.announce(shard, Announcement(node, number + 5, went=[bob]))
    assert (await backend.watch(shard, node, number + 5)).known
    assert (await backend.present(shard, ROOM)).people == 1


FOREIGN: list[tuple[str, tuple[str, ...]]] = [
    *((kind, ("SET", "foreign")) for kind in ("alive", "marks", "nodes", "history", "waiting")),
    *((kind, ("SET", "")) for kind in ("meta", "born", "targeted", "life", "once")),
    *((kind, ("SET", "foreign")) for kind in ("meta", "born", "targeted", "life", "once", "queue")),
    *((kind, ("RPUSH", "foreign")) for kind in ("meta", "born", "targeted", "life", "once")),
    *((kind, ("SET", "foreign")) for kind in ("present", "here", "people")),
    *((kind, ("SET", "foreign")) for kind in ("reports", "reported", "totals")),
    ("orders", ("SET", "foreign")),
    ("orders", ("ZADD", "99999999999999999999", "foreign")),
    ("reports", ("HSET", "process", "foreign")),
    ("reported", ("ZADD", "99999999999999", "nobody")),
    ("totals", ("HSET", "99999999999:sent", "foreign")),
    ("totals", ("HSET", "foreign", "foreign")),
    ("here", ("ZADD", "0", "foreign")),
    ("people", ("HSET", "ada", "foreign")),
    ("present", ("HSET", "nobody", "foreign")),
    ("queue", ("RPUSH", "short")),
    ("marks", ("HSET", SOURCE, "foreign")),
    ("nodes", ("HSET", "#channel", "foreign")),
    ("nodes", ("HSET", "node", "foreign")),
    ("meta", ("SET", "99999999999999999999 abcdefgh ")),
    ("meta", ("SET", "-1 abcdefgh ")),
]


@pytest.mark.parametrize(("kind", "command"), FOREIGN, ids=lambda value: "-".join(value))
async def test_every_script_goes_on(
    make_layer: MakeLayer,
    make_backend: MakeBackend,
    keys: ShardKeys,
    tell: Tell,
    kind: str,
    command: tuple[str, ...],
) -> None:
    """Whatever one key holds, no script stops, or makes anybody wait as for an outage."""
    layer, backend = make_layer(), make_backend()
    assert isinstance(backend, RedisBackend)
    await use_everything(layer, backend, 0)
    key = {
        "queue": keys.queue(neighbours(layer, 2)[1]),
        "waiting": keys.waiting(neighbours(layer, 2)[1]),
        "nodes": keys.nodes(ROOM),
        "meta": keys.meta(ROOM),
        "history": keys.history(ROOM),
        "once": keys.once(ROOM, KEY),
        "here": keys.here((await layer.node()).id),
        "people": keys.people(ROOM),
        "orders": keys.orders((await layer.node()).id),
    }.get(kind) or getattr(keys, kind)
    if command[0] not in ("HSET", "ZADD"):
        await tell("DEL", key)
    await tell(command[0], key, *command[1:])
    begun = time.monotonic()
    await use_everything(layer, backend, 1)
    await use_everything(layer, make_backend(), 2)  # type: ignore[arg-type]
    assert time.monotonic() - begun < QUICK


COMMANDS: list[tuple[str, Callable[[RedisBackend, int, NodeId], Awaitable[Any]]]] = [
    ("marks", lambda backend, shard, node: backend.marks(shard, [SOURCE])),
    ("marks", lambda backend, shard, node: backend.forget_marks(shard, [SOURCE])),
    ("alive", lambda backend, shard, node: backend.withdraw(shard, node)),
    ("nodes", lambda backend, shard, node: backend.leave(shard, node, [ROOM])),
    ("nodes", lambda backend, shard, node: backend.report(shard, node, {ROOM: 1})),
    ("nodes", lambda backend, shard, node: backend.detach(shard, ROOM, "channel")),
    ("nodes", lambda backend, shard, node: backend.info(shard, [ROOM])),
    ("history", lambda backend, shard, node: backend.info(shard, [ROOM])),
    ("here", lambda backend, shard, node: backend.roll(shard, node)),
    ("orders", lambda backend, shard, node: backend.orders(shard, node)),
    ("orders", lambda backend, shard, node: backend.took(shard, node, [1])),
    ("reports", lambda backend, shard, node: backend.forget_process(shard, "process")),
    ("reported", lambda backend, shard, node: backend.forget_process(shard, "process")),
]


@pytest.mark.parametrize(("kind", "ask"), COMMANDS)
async def test_every_command_goes_on(
    make_layer: MakeLayer,
    make_backend: MakeBackend,
    keys: ShardKeys,
    tell: Tell,
    kind: str,
    ask: Callable[[RedisBackend, int, NodeId], Awaitable[Any]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What is asked without a script, and before any script was run, finds nothing there."""
    backend, node = make_backend(), NodeId("node")
    assert isinstance(backend, RedisBackend)
    named = {"nodes": keys.nodes(ROOM), "history": keys.history(ROOM), "here": keys.here(node)}
    named["orders"] = keys.orders(node)
    key = named.get(kind) or getattr(keys, kind)
    await tell("SET", key, "foreign")
    shard = make_layer().shard_of(ROOM)
    answer = await ask(backend, shard, node)
    nothing = RoomInfo(room=ROOM, shard=shard, nodes={}, offset=0, epoch="", history_length=0)
    assert not answer or answer in ([None], [nothing])
    assert await ask(backend, shard, node) == answer
    removed = [record.getMessage() for record in caplog.records if "removed" in record.getMessage()]
    assert len(removed) == 1
    assert key in removed[0]


async def test_room_whose_meta_is_of_a_wrong_type_is_shown(
    make_backend: MakeBackend, make_layer: MakeLayer, keys: ShardKeys, tell: Tell
) -> None:
    """As one that has no position; the next publication writes another."""
    await tell("RPUSH", keys.meta(ROOM), "foreign")
    [info] = await make_backend().info(make_layer().shard_of(ROOM), [ROOM])
    assert (info.offset, info.epoch) == (0, "")


async def test_a_count_of_held_messages_of_a_wrong_type(
    make_layer: MakeLayer, place: Place, make_backend: MakeBackend
) -> None:
    """A process-local channel is sent to all the same."""
    layer, backend = make_layer(), make_backend()
    assert isinstance(backend, RedisBackend)
    channel = await layer.new_channel()
    tag = hash_tags(layer.options.prefix, layer.options.shards)[layer.shard_of(channel)]
    for foreign in (("RPUSH", "foreign"), ("SET", "foreign")):
        await backend._execute(
            layer.shard_of(channel), foreign[0], ShardKeys(tag).held(channel), foreign[1]
        )
        await layer.send(channel, {"type": "sent"})
        assert (await layer.receive(channel))["type"] == "sent"


async def test_members_are_registered_again(
    make_layer: MakeLayer, keys: ShardKeys, tell: Tell
) -> None:
    """A registry of a wrong type goes; all nodes are told until each has registered again."""
    layers = [make_layer(lease_ttl=1.2), make_layer(lease_ttl=1.2)]
    sinks = [RecordingSink(), RecordingSink()]
    for layer, sink in zip(layers, sinks, strict=True):
        (await (await layer.node()).join(ROOM, sink)).release()
    await tell("DEL", keys.nodes(ROOM))
    await tell("SET", keys.nodes(ROOM), "foreign")
    published = 0

    async def is_targeted_again() -> bool:
        nonlocal published
        published += 1
        before = layers[0].stats()["targeted"]
        await layers[0].publish(ROOM, b"%d" % published)
        return layers[0].stats()["targeted"] > before

    await until(is_targeted_again)
    assert set((await layers[0].room_info(ROOM)).nodes) == {
        (await layer.node()).id for layer in layers
    }
    for sink in sinks:
        await until(lambda sink=sink: len(sink.texts) == published)  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["people", "here", "present"])
async def test_people_are_counted_anew(
    make_layer: MakeLayer, keys: ShardKeys, tell: Tell, kind: str
) -> None:
    """A room's counts or a node's people of a wrong type go; all nodes make them right again."""
    quick = {"lease_ttl": 1.5, "presence_delay": 0.01}
    layers = here, there = make_layer(**quick), make_layer(**quick)
    for layer, person in ((here, "ada"), (here, "bob"), (there, "ada")):
        node = await layer.node()
        await node.join(ROOM, RecordingSink())
        node.presence.come(Attendee(ROOM, person, person))
        await node.presence.settled(ROOM)
    node = await here.node()
    key = {"people": keys.people(ROOM), "here": keys.here(node.id), "present": keys.present}[kind]
    await tell("DEL", key)
    await tell("SET", key, "foreign")
    node.presence.come(Attendee(ROOM, "eve", "1"))

    async def counted() -> bool:
        pages = [await layer.presence(ROOM, limit=10) for layer in layers]
        return all(
            page.people == 3
            and [(person.name, person.connections) for person in page.persons]
            == [("ada", 2), ("bob", 1), ("eve", 1)]
            for page in pages
        )

    await until(counted)


async def test_what_can_not_be_mended_fails_for_its_room_alone(
    make_layer: MakeLayer,
    place: Place,
    keys: ShardKeys,
    tell: Tell,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Its caller is told at once and by name, each time; those of the same batches notice nothing.

    Here the layer's user may not remove keys.
    """
    layer = make_layer()
    others = neighbours(layer, 5)
    await layer.publish(ROOM, b"0")
    await tell("DEL", keys.history(ROOM))
    await tell("SET", keys.history(ROOM), "foreign")
    clients = place.clients()
    users = ("default", "layer")
    for client in clients:
        for user in users:
            if client.acl_getuser(user):
                client.acl_setuser(user, enabled=True, commands=["-unlink"], reset=False)
    try:
        for turn in range(3):
            rooms = [*others, ROOM, *others]
            begun = time.monotonic()
            marked = [(room, b"m", Mark(SOURCE, 100 * turn + n)) for n, room in enumerate(rooms)]
            outcomes = await asyncio.gather(
                *(layer.publish(room, b"1") for room in rooms),
                layer.publish_marked(marked),
                return_exceptions=True,
            )
            assert time.monotonic() - begun < QUICK
            failed = [each for each in outcomes if isinstance(each, BaseException)]
            assert len(failed) == 2
            for error in failed:
                assert isinstance(error, ScriptFailed)
                assert (error.script, error.names) == ("publish", (ROOM,))
                assert error.shard == layer.shard_of(ROOM)
            # Of the source nothing was taken from there on, so that it can come again.
            assert (await layer.marks([SOURCE]))[SOURCE] == Mark(SOURCE, 100 * turn + 4)
        assert layer.stats()["retries"] == 0
        with pytest.raises(ScriptFailed, match=ROOM):
            await layer.history(ROOM)
        with pytest.raises(ScriptFailed, match=ROOM):
            await (await layer.node()).join(ROOM, RecordingSink(), since=Position(1, "k3k3k3k3"))
    finally:
        for client in clients:
            for user in users:
                if client.acl_getuser(user):
                    client.acl_setuser(user, enabled=True, commands=["+unlink"], reset=False)
    assert any(ROOM in record.getMessage() for record in caplog.records)
    await promptly(layer, ROOM, b"2")
