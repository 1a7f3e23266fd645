"""A client's connection from end to end, on the layer in memory."""

from __future__ import annotations

import json

import pytest
from pytest_django import Settings

from realtime import aannounce, apublish
from realtime.consumers import rooms_of_url
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client, RecordingSink
from tests.realtime.open_rooms import OPEN_ROOMS

pytestmark = pytest.mark.usefixtures("memory_layer")


async def test_subscriber_gets_what_is_published() -> None:
    """A publication reaches a subscriber with its offset."""
    async with Client() as client:
        answer = await client.ask(1, subscribe={"room": "general"})
        assert answer["id"] == 1
        assert answer["subscribed"]["room"] == "general"
        assert answer["subscribed"]["offset"] == 0
        await apublish("general", {"text": "hello"})
        push = await client.receive()
        assert push == {"room": "general", "offset": 1, "data": {"text": "hello"}}


async def test_own_server_sink_gets_answers_and_pushes() -> None:
    """Where the server offers a sink, answers and pushes share it, in order."""
    sink = RecordingSink()
    async with Client(sink=sink) as client:
        await client.ask(1, subscribe={"room": "general"})
        await apublish("general", 1)
        assert (await client.receive())["data"] == 1
        assert await client.ask(2, ping={}) == {"id": 2, "pong": {}}


async def test_own_server_keeps_no_more_than_is_answered(settings: Settings) -> None:
    """A message may be twice the limit, and is told so; the server keeps none that is larger."""
    settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_MESSAGE": 1000}
    sink = RecordingSink()
    async with Client(sink=sink) as client:
        assert sink.message_limit == 2000
        answer = await client.ask(1, publish={"room": "general", "data": "x" * 1000})
        assert answer["error"]["code"] == "too_large"


async def test_list_of_rooms_is_answered_in_order() -> None:
    """A list gets a list; a room that can't be is an error beside the others."""
    async with Client() as client:
        answer = await client.ask(
            1, subscribe=[{"room": "b"}, {"room": "no room"}, {"room": "a"}, {"room": "b"}]
        )
        items = answer["subscribed"]
        assert [item["room"] for item in items] == ["b", "no room", "a", "b"]
        assert items[1]["error"]["code"] == "bad_room"
        assert items[3]["error"]["code"] == "bad_request"
        await apublish("a", "x")
        assert (await client.receive())["room"] == "a"


async def test_url_subscribes_at_once() -> None:
    """`?room=` answers with id 0 before any command, each room once."""
    async with Client("room=a&room=b&room=a&other=1") as client:
        answer = await client.receive()
        assert answer["id"] == 0
        assert [item["room"] for item in answer["subscribed"]] == ["a", "b"]
        await apublish("b", None)
        assert (await client.receive())["room"] == "b"


@pytest.mark.parametrize(
    ("query", "rooms"),
    [
        (b"", []),
        (b"x=1", []),
        (b"room=", []),
        (b"room=a-b_c.D9", ["a-b_c.D9"]),
        (b"room=a%2Eb", ["a.b"]),
        (b"room=a+b", ["a b"]),
        (b"room=a&x=1", ["a"]),
        (b"room=a%2Eb&room=c&room=c", ["a.b", "c"]),
    ],
)
def test_rooms_of_url(query: bytes, rooms: list[str]) -> None:
    """Only the `room` parameters count, decoded."""
    assert rooms_of_url({"query_string": query}) == rooms


async def test_resuming_client_gets_what_it_missed() -> None:
    """A client that names its position is told what came since, once, and recovered."""
    await apublish("general", 1)
    async with Client() as client:
        first = (await client.ask(1, subscribe={"room": "general"}))["subscribed"]
    await apublish("general", 2)
    await apublish("general", {"n": 3})
    async with Client() as client:
        position = {"offset": first["offset"], "epoch": first["epoch"]}
        again = (await client.ask(1, subscribe={"room": "general", **position}))["subscribed"]
        assert again["recovered"] is True
        assert again["publications"] == [{"offset": 2, "data": 2}, {"offset": 3, "data": {"n": 3}}]
        await apublish("general", 4)
        assert (await client.receive())["offset"] == 4


async def test_subscribing_again_is_a_fresh_answer() -> None:
    """A second subscribe is no error, and pushes still come once."""
    async with Client() as client:
        await client.ask(1, subscribe={"room": "general"})
        assert "subscribed" in await client.ask(2, subscribe={"room": "general"})
        await apublish("general", 1)
        assert (await client.receive())["offset"] == 1
        assert await client.ask(3, ping={}) == {"id": 3, "pong": {}}


async def test_unsubscribed_client_gets_nothing() -> None:
    """After unsubscribe nothing comes, and a second one is an error."""
    async with Client() as client:
        await client.ask(1, subscribe={"room": "general"})
        answer = await client.ask(2, unsubscribe={"room": "general"})
        assert answer == {"id": 2, "unsubscribed": {"room": "general"}}
        await apublish("general", 1)
        error = (await client.ask(3, unsubscribe={"room": "general"}))["error"]
        assert error["code"] == "not_subscribed"


async def test_client_publishes_where_it_may() -> None:
    """A rule opens rooms to clients; the publisher hears itself as others do."""
    async with Client() as client:
        await client.ask(1, subscribe={"room": "chat.lobby"})
        await client.send(2, publish={"room": "chat.lobby", "data": {"text": "hi"}})
        messages = [await client.receive(), await client.receive()]
        [answer] = [message["published"] for message in messages if "published" in message]
        [push] = [message for message in messages if "data" in message]
        assert (answer["room"], answer["offset"]) == ("chat.lobby", 1)
        assert push["data"] == {"text": "hi"}


async def test_client_publishes_again_under_one_key(memory_layer: ShardedChannelLayer) -> None:
    """What comes again under its key, on whichever connection, is answered and not published."""
    answers = []
    for number in range(2):
        async with Client() as client:
            command = {"room": "chat.lobby", "data": number, "key": "k"}
            answers.append((await client.ask(1, publish=command))["published"])
    assert answers[0] == answers[1]
    assert [item.data for item in await memory_layer.history("chat.lobby")] == [b"0"]


async def test_clients_keys_are_not_the_servers(memory_layer: ShardedChannelLayer) -> None:
    """No client can have a publication of the server's taken for one that was there before."""
    async with Client() as client:
        await client.ask(1, publish={"room": "chat.lobby", "data": "client", "key": "order-7"})
    await apublish("chat.lobby", "server", idempotency_key="order-7")
    assert [item.data for item in await memory_layer.history("chat.lobby")] == [
        b'"client"',
        b'"server"',
    ]


@pytest.mark.parametrize("own_server", [False, True])
async def test_announcement_reaches_everybody(own_server: bool) -> None:
    """Whoever is connected gets it once, in no room and in several; in order with what is said."""
    sink = RecordingSink() if own_server else None
    async with Client() as here, Client("room=a&room=b", sink=sink) as there:
        await there.receive()
        assert await here.ask(1, ping={}) == {"id": 1, "pong": {}}
        for data in ({"text": "Soon."}, None):
            await aannounce(data)
        for client in (here, there):
            assert await client.receive() == {"announcement": {"text": "Soon."}}
            assert await client.receive() == {"announcement": None}
            assert await client.ask(2, ping={}) == {"id": 2, "pong": {}}


async def test_client_may_not_publish_elsewhere() -> None:
    """A room to which no rule lets clients publish is forbidden."""
    async with Client() as client:
        error = (await client.ask(1, publish={"room": "machine.cpu", "data": 1}))["error"]
        assert error["code"] == "forbidden"


async def test_history_can_be_read() -> None:
    """The newest publications are read without joining; a join from there misses nothing."""
    for number in range(5):
        await apublish("general", number)
    async with Client() as client:
        answer = await client.ask(1, history={"room": "general", "limit": 2})
        assert answer["id"] == 1
        read = answer["history"]
        assert (read["room"], read["offset"]) == ("general", 5)
        assert read["publications"] == [{"offset": 4, "data": 3}, {"offset": 5, "data": 4}]
        await apublish("general", 5)
        position = {"offset": read["offset"], "epoch": read["epoch"]}
        joined = (await client.ask(2, subscribe={"room": "general", **position}))["subscribed"]
        assert joined["recovered"] is True
        assert joined["publications"] == [{"offset": 6, "data": 5}]


async def test_history_is_limited(settings: Settings) -> None:
    """No more than MAX_CLIENT_HISTORY publications are read, whatever is asked for."""
    settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_HISTORY": 2}
    for number in range(3):
        await apublish("general", number)
    async with Client() as client:
        for id, limit in enumerate((None, 3, 2), 1):
            answer = await client.ask(id, history={"room": "general", "limit": limit})
            assert [item["data"] for item in answer["history"]["publications"]] == [1, 2]


async def test_history_of_an_unused_room() -> None:
    """Where nothing was published yet the position is the one before everything."""
    async with Client() as client:
        answer = await client.ask(1, history={"room": "general"})
        assert answer["history"] == {
            "room": "general",
            "offset": 0,
            "epoch": "",
            "publications": [],
        }


async def test_rooms_are_limited(settings: Settings) -> None:
    """A client gets MAX_ROOMS_PER_CLIENT rooms; leaving one makes place."""
    settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_ROOMS_PER_CLIENT": 2}
    async with Client() as client:
        items = (await client.ask(1, subscribe=[{"room": room} for room in "abc"]))["subscribed"]
        assert [item.get("error", {}).get("code") for item in items] == [None, None, "limit"]
        await client.ask(2, unsubscribe={"room": "a"})
        assert "subscribed" in await client.ask(3, subscribe={"room": "c"})


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", "bad_json"),
        ("[]", "bad_request"),
        ('{"ping":{}}', "bad_request"),
        ('{"id":1,"dance":{}}', "unknown_command"),
        (f'{{"id":1,"ping":"{"x" * 65_536}"}}', "too_large"),
    ],
)
async def test_bad_frame_leaves_the_rooms_alone(text: str, code: str) -> None:
    """A frame that is no command gets an error; pushes go on."""
    async with Client() as client:
        await client.ask(1, subscribe={"room": "general"})
        await client.send_text(text)
        assert (await client.receive())["error"]["code"] == code
        await apublish("general", 1)
        assert (await client.receive())["data"] == 1


async def test_binary_frame_closes() -> None:
    """A binary frame ends the connection with 1003."""
    async with Client() as client:
        await client.send_bytes(b"x")
        event = await client.event()
        assert (event["type"], event["code"]) == ("websocket.close", 1003)


async def test_binary_frame_closes_through_the_servers_sink() -> None:
    """The same where the server offers a sink."""
    sink = RecordingSink()
    async with Client(sink=sink) as client:
        await client.send_bytes(b"x")
    assert sink.closed is not None
    assert sink.closed[0] == 1003


async def test_leaving_client_leaves_its_rooms(memory_layer: ShardedChannelLayer) -> None:
    """A client that goes away, or whose task is cancelled, is a member of nothing."""
    node = await memory_layer.node()
    gone, killed = Client(), Client()
    async with gone:
        await gone.ask(1, subscribe=[{"room": "a"}, {"room": "b"}])
        assert node.members("a") == 1
    async with Client() as stays:
        await stays.ask(1, subscribe={"room": "b"})
        await killed.__aenter__()
        await killed.ask(1, subscribe={"room": "b"})
        assert node.members("b") == 2
        await killed.kill()
        assert (node.members("a"), node.members("b")) == (0, 1)
        await aannounce("anybody there?")
        assert await stays.receive() == {"announcement": "anybody there?"}
        assert gone.nothing_waits()
        assert killed.nothing_waits()


async def test_room_without_history_has_no_offset(settings: Settings) -> None:
    """Where nothing is kept neither answers nor pushes name an offset."""
    layers = dict(settings.CHANNEL_LAYERS["default"])
    layers["CONFIG"] = {**layers["CONFIG"], "history": {}}
    settings.CHANNEL_LAYERS = {"default": layers}
    async with Client() as client:
        answer = (await client.ask(1, subscribe={"room": "chat.a"}))["subscribed"]
        assert answer == {"room": "chat.a", "recovered": False, "publications": []}
        answer = (await client.ask(3, history={"room": "chat.a"}))["history"]
        assert answer == {"room": "chat.a", "publications": []}
        await client.send(2, publish={"room": "chat.a", "data": 1})
        messages = [await client.receive(), await client.receive()]
        assert {"room": "chat.a", "data": 1} in messages
        assert {"id": 2, "published": {"room": "chat.a"}} in messages


@pytest.mark.django_db(transaction=True)  # other tests' connections are looked at
async def test_rules_decide(settings: Settings) -> None:
    """A rule is asked of subscribing, reading and publishing; what it refuses is forbidden."""
    rule = "tests.realtime.test_consumers.no_secrets"
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": rule, "publish": rule}}}
    async with Client() as client:
        assert "subscribed" in await client.ask(1, subscribe={"room": "open"})
        error = (await client.ask(2, subscribe={"room": "secret"}))["error"]
        assert error["code"] == "forbidden"
        error = (await client.ask(3, publish={"room": "secret", "data": 1}))["error"]
        assert error["code"] == "forbidden"
        error = (await client.ask(4, history={"room": "secret"}))["error"]
        assert error["code"] == "forbidden"


@pytest.mark.django_db(transaction=True)
async def test_failing_rule_fails_one_command(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    """An exception in a rule is logged and answered; the connection goes on."""
    rule = "tests.realtime.test_consumers.broken"
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": rule}}}
    async with Client() as client:
        error = (await client.ask(1, subscribe={"room": "a"}))["error"]
        assert error["code"] == "internal"
        assert "password" not in json.dumps(error)
        assert await client.ask(2, ping={}) == {"id": 2, "pong": {}}
    assert "A client's command failed." in caplog.text


async def test_too_large_for_the_layer(settings: Settings) -> None:
    """A publication that the layer does not take is answered as too large."""
    layers = dict(settings.CHANNEL_LAYERS["default"])
    layers["CONFIG"] = {**layers["CONFIG"], "max_message_size": 10}
    settings.CHANNEL_LAYERS = {"default": layers}
    async with Client() as client:
        error = (await client.ask(1, publish={"room": "chat.a", "data": "x" * 20}))["error"]
        assert error["code"] == "too_large"


async def no_secrets(user: object, room: str, claims: object) -> bool:
    """Refuse one room, to a user who is not signed in."""
    assert not user.is_authenticated  # type: ignore[attr-defined]
    return room != "secret"


async def broken(user: object, room: str, claims: object) -> bool:
    """Fail in a way that the client must not read about."""
    raise RuntimeError("the password is hunter2")
