"""What one client can ask for, and what it costs everybody else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
from pytest_django import Settings
from redis import Redis

from demo.embedded import EmbeddedValkey
from realtime import apublish
from realtime.access import origins
from realtime.clients.client_counters import ClientCounters, counters
from realtime.rooms import room_names
from realtime.sharded_layer import sharded_layer
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client, RecordingSink
from tests.realtime.conftest import channel_layers
from tests.realtime.open_rooms import OPEN_ROOMS
from tests.waiting import until

BEGINNING = {"offset": 0, "epoch": ""}


@pytest.fixture(autouse=True)
def fresh_counters() -> Iterator[None]:
    """All counts from 0."""
    before = {name: getattr(counters, name) for name in ClientCounters.__slots__}
    for name in before:
        setattr(counters, name, 0)
    yield
    for name, count in before.items():
        setattr(counters, name, count)


class PacedSink(RecordingSink):
    """A sink of a client that reads when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.reads = asyncio.Event()
        self.waiting = 0

    async def wait_drained(self) -> None:
        self.waiting += 1
        await self.reads.wait()


asked: list[str] = []


async def count_rooms(user: object, room: str, claims: object) -> bool:
    """Allow everything, and remember what was asked."""
    asked.append(room)
    return True


async def fill(room: str, count: int, size: int) -> None:
    """Publish so many texts of that size to a room."""
    for number in range(count):
        await apublish(room, f"{number:>{size}}")


class TestRemembered:
    """What is remembered of what strangers send."""

    def test_long_names_are_not_remembered(self) -> None:
        """A text that is too long to be a room's name is refused before it is looked up."""
        before = room_names._is_name.cache_info()
        for number in range(100):
            assert not room_names.is_room_name(f"{number}" * 10_000)
        assert room_names._is_name.cache_info() == before

    def test_long_origins_are_not_remembered(self) -> None:
        """An origin that is longer than any host's name is judged, and forgotten."""
        before = origins._verdict.cache_info()
        for number in range(100):
            assert not origins.is_allowed(b"http://%d.example" % number + b"x" * 1_000)
        assert origins._verdict.cache_info() == before


@pytest.mark.usefixtures("memory_layer")
class TestRooms:
    """How many names, and how fast."""

    @pytest.mark.django_db(transaction=True)  # other tests' connections are looked at
    @pytest.mark.parametrize("many", [101, 200])
    async def test_rules_are_asked_of_what_there_is_place_for(
        self, settings: Settings, many: int
    ) -> None:
        """Rooms past the limit are refused before anybody is asked about them."""
        rule = "tests.realtime.clients.test_request_rates.count_rooms"
        settings.REALTIME = {"ROOMS": {"*": {"subscribe": rule}}}
        asked.clear()
        async with Client() as client:
            names = [{"room": f"r{number}"} for number in range(many)]
            items = (await client.ask(1, subscribe=names))["subscribed"]
            codes = [item.get("error", {}).get("code") for item in items]
            assert codes == [None] * 100 + ["limit"] * (many - 100)
            assert len(asked) == 100
            assert counters.rooms_over_limit == many - 100

    @pytest.mark.parametrize("in_url", [False, True])
    async def test_message_that_names_too_many(self, settings: Settings, in_url: bool) -> None:
        """It is answered once, and nothing of it is done; the connection goes on."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_ROOMS_PER_FRAME": 3}
        names = [f"r{number}" for number in range(4)]
        query = "&".join(f"room={name}" for name in names)
        async with Client(query if in_url else "") as client:
            if not in_url:
                await client.send(1, subscribe=[{"room": name} for name in names])
            answer = await client.receive()
            assert answer["id"] == (0 if in_url else 1)
            assert answer["error"]["code"] == "limit"
            assert counters.frames_refused == 1
            answer = await client.ask(2, subscribe=[{"room": name} for name in names[:3]])
            assert all("error" not in item for item in answer["subscribed"])

    async def test_no_limit_of_the_rooms_of_a_message(self, settings: Settings) -> None:
        """0 turns it off."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_ROOMS_PER_FRAME": 0}
        async with Client() as client:
            names = [{"room": f"r{number}"} for number in range(500)]
            assert len((await client.ask(1, subscribe=names))["subscribed"]) == 500

    async def test_new_rooms_are_taken_on_at_a_rate(
        self, settings: Settings, memory_layer: ShardedChannelLayer
    ) -> None:
        """Past it a room is refused with `rate`, whether it is joined or published to first."""
        settings.REALTIME = {
            "ROOMS": {"*": {"subscribe": "anyone", "publish": "anyone"}},
            "MAX_CLIENT_NEW_ROOMS": 0.001,
            "MAX_ROOMS_PER_CLIENT": 2,
        }
        await apublish("old", 1)
        async with Client() as client:
            answer = await client.ask(1, subscribe=[{"room": "a"}, {"room": "b"}])
            assert all("error" not in item for item in answer["subscribed"])
            await client.ask(2, unsubscribe={"room": "a"})
            await client.ask(3, subscribe={"room": "a"})
            assert "published" in await client.ask(4, publish={"room": "new", "data": 1})
            for id, command in (
                (5, {"publish": {"room": "newer", "data": 1}}),
                (6, {"publish": {"room": "old", "data": 1}}),
            ):
                assert (await client.ask(id, **command))["error"]["code"] == "rate"
            await client.ask(7, unsubscribe={"room": "b"})
            error = (await client.ask(8, subscribe={"room": "c"}))["error"]
            assert (error["code"], counters.rooms_refused) == ("rate", 3)
            await client.send(9, publish={"room": "a", "data": 1})  # a room that it is in
            messages = [await client.receive() for _ in range(2)]
            assert any("published" in message for message in messages)
        assert (await memory_layer.room_info("newer")).offset == 0

    async def test_room_that_is_not_joined_counts_for_nothing(self, settings: Settings) -> None:
        """A client that is refused, or finds Redis away, may try again and again."""
        settings.REALTIME = {
            "ROOMS": OPEN_ROOMS,
            "MAX_CLIENT_NEW_ROOMS": 0.001,
            "MAX_ROOMS_PER_CLIENT": 1,
        }
        async with Client() as client:
            for id in range(1, 20):
                error = (await client.ask(id, subscribe={"room": "user.7"}))["error"]
                assert error["code"] == "forbidden"
            assert "subscribed" in await client.ask(20, subscribe={"room": "a"})

    async def test_joins_take_turns(
        self, settings: Settings, memory_layer: ShardedChannelLayer
    ) -> None:
        """Who joins one room does not wait for all the rooms of those who came before."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "JOIN_CONCURRENCY": 4}
        node = await memory_layer.node()
        async with AsyncExitStack() as stack:
            many = [await stack.enter_async_context(Client()) for _ in range(20)]
            one = await stack.enter_async_context(Client())
            for number, client in enumerate(many):
                names = [{"room": f"r{number}.{room}"} for room in range(100)]
                await client.send(1, subscribe=names)
            await one.send(1, subscribe={"room": "one"})
            assert "subscribed" in await one.receive()
            assert node.rooms() < 200
            for client in many:
                items = (await client.receive())["subscribed"]
                assert all("error" not in item for item in items)
            assert node.rooms() == 2_001
            assert counters.turns_waited > 1_500

    async def test_no_limit_of_new_rooms(self, settings: Settings) -> None:
        """0 turns it off."""
        settings.REALTIME = {
            "ROOMS": OPEN_ROOMS,
            "MAX_CLIENT_NEW_ROOMS": 0,
            "MAX_ROOMS_PER_CLIENT": 1,
        }
        async with Client() as client:
            for id in range(1, 200, 2):
                assert "subscribed" in await client.ask(id, subscribe={"room": f"r{id}"})
                await client.ask(id + 1, unsubscribe={"room": f"r{id}"})


@pytest.mark.usefixtures("memory_layer")
class TestRates:
    """How many commands and publications a second."""

    async def test_publishing_is_bounded(self, settings: Settings) -> None:
        """Past the rate a publication is refused with `rate`, and the connection goes on."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_PUBLISHES": 0.001}
        async with Client() as client:
            answers = [
                await client.ask(id, publish={"room": "chat.a", "data": id}) for id in range(1, 6)
            ]
            assert ["published" in answer for answer in answers] == [True] + [False] * 4
            assert answers[1]["error"]["code"] == "rate"
            assert counters.publishes_refused == 4
            assert await client.ask(9, ping={}) == {"id": 9, "pong": {}}

    @pytest.mark.parametrize("own_server", [False, True])
    @pytest.mark.parametrize("text", ['{"id":1,"ping":{}}', "", "{", "[]"])
    async def test_too_many_commands_close(
        self, settings: Settings, own_server: bool, text: str
    ) -> None:
        """Whatever they are, they count; the client is closed with 4010."""
        settings.REALTIME = {
            "ROOMS": OPEN_ROOMS,
            "MAX_CLIENT_COMMANDS": 0.001,
            "MAX_ROOMS_PER_CLIENT": 3,
        }
        sink = RecordingSink() if own_server else None
        async with Client(sink=sink) as client:
            for _ in range(7):
                await client.send_text(text)
            for _ in range(6):
                await client.receive()
            if sink is None:
                event = await client.event()
                assert (event["type"], event["code"]) == ("websocket.close", 4010)
            else:
                await until(lambda: sink.closed)
                assert sink.closed == (4010, "too many commands")
        assert counters.rate_closed == 1

    async def test_rooms_of_a_list_count(self, settings: Settings) -> None:
        """A list is as many commands as it has names, up to those that a client may have."""
        settings.REALTIME = {
            "ROOMS": OPEN_ROOMS,
            "MAX_CLIENT_COMMANDS": 0.001,
            "MAX_ROOMS_PER_CLIENT": 5,
        }
        async with Client() as client:
            names = [{"room": f"r{number}"} for number in range(50)]
            for id in (1, 2):
                assert "subscribed" in await client.ask(id, subscribe=names)
            await client.send(3, ping={})
            assert (await client.event())["code"] == 4010

    async def test_no_limit_of_commands(self, settings: Settings) -> None:
        """0 turns it off."""
        settings.REALTIME = {
            "ROOMS": OPEN_ROOMS,
            "MAX_CLIENT_COMMANDS": 0,
            "MAX_ROOMS_PER_CLIENT": 1,
        }
        async with Client() as client:
            for id in range(1, 2_000):
                assert "pong" in await client.ask(id, ping={})


@pytest.mark.usefixtures("memory_layer")
class TestAnswers:
    """How much an answer has, and when the rest comes."""

    async def test_one_room(self, settings: Settings) -> None:
        """What an answer can't hold is pushed behind it, marked, and then what is new."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_ANSWER": 1_000}
        await fill("a", 50, 100)
        async with Client() as client:
            answer = (await client.ask(1, subscribe={"room": "a", **BEGINNING}))["subscribed"]
            first = len(answer["publications"])
            assert 0 < first < 10
            assert (answer["recovered"], answer["offset"]) == (True, first)
            await apublish("a", "new")
            pushes = [await client.receive() for _ in range(first, 51)]
            assert [push["offset"] for push in pushes] == list(range(first + 1, 52))
            assert all(push["replayed"] for push in pushes[:-1])
            assert pushes[-1]["data"] == "new"

    async def test_frame_of_many_rooms(self, settings: Settings) -> None:
        """One answer's bound is for all of its rooms together."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_ANSWER": 10_000}
        names = [f"r{number}" for number in range(100)]
        for name in names:
            await fill(name, 3, 1_000)
        sink = RecordingSink()
        async with Client(sink=sink) as client:
            await client.send(1, subscribe=[{"room": name, **BEGINNING} for name in names])
            text = await asyncio.wait_for(sink.texts.get(), 20)
            assert len(text) < 25_000
            items = json.loads(text)["subscribed"]
            assert all(item["recovered"] and not item["publications"] for item in items)
            got: dict[str, list[int]] = {name: [] for name in names}
            for _ in range(300):
                push = await client.receive()
                got[push["room"]].append(push["offset"])
            assert got == {name: [1, 2, 3] for name in names}

    async def test_no_bound(self, settings: Settings) -> None:
        """0 turns it off: a page of the layer's, 256 KiB of each room."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_ANSWER": 0}
        await fill("a", 200, 1_000)
        async with Client() as client:
            answer = (await client.ask(1, subscribe={"room": "a", **BEGINNING}))["subscribed"]
            assert len(answer["publications"]) == 200

    async def test_pages_wait_for_the_client(self, settings: Settings) -> None:
        """Nothing is read for a client that does not read; what is pushed meanwhile is read too."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_ANSWER": 1_000}
        await fill("a", 250, 10_000)
        sink = PacedSink()
        async with Client(sink=sink) as client:
            await client.ask(1, subscribe={"room": "a", **BEGINNING})
            await until(lambda: sink.waiting == 2)  # the next page, and the next command
            await apublish("a", "new")
            assert counters.pages == 0
            sink.reads.set()
            pushes = [await client.receive() for _ in range(251)]
            assert [push["offset"] for push in pushes] == list(range(1, 252))
            assert counters.pages == 10

    async def test_leaving_ends_it(self, settings: Settings) -> None:
        """A room that is left, or subscribed to again, is read on no more than once."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_ANSWER": 1_000}
        await fill("a", 50, 10_000)
        async with Client() as client:
            await client.send(1, subscribe={"room": "a", **BEGINNING})
            await client.send(2, subscribe={"room": "a", **BEGINNING})
            await client.send(3, unsubscribe={"room": "a"})
            seen = []
            while (message := await client.receive()).get("id") != 3:
                seen.append(message)
            await apublish("a", 1)
            assert await client.ask(4, ping={}) == {"id": 4, "pong": {}}
        starts = [index for index, message in enumerate(seen) if "subscribed" in message]
        for start, end in zip(starts, [*starts[1:], len(seen)], strict=True):
            offsets = [push["offset"] for push in seen[start + 1 : end]]
            assert offsets == list(range(1, len(offsets) + 1))

    async def test_history(self, settings: Settings) -> None:
        """An answer is cut to the bound and says how many are left, to be had with `before`."""
        settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_ANSWER": 1_000}
        await fill("a", 20, 200)
        async with Client() as client:
            got: list[int] = []
            ask: dict[str, Any] = {"room": "a", "limit": 15}
            for id in range(1, 10):
                read = (await client.ask(id, history=ask))["history"]
                got = [item["offset"] for item in read["publications"]] + got
                assert read["offset"] == read["publications"][-1]["offset"]
                if "more" not in read:
                    break
                ask = {"room": "a", "limit": read["more"], "before": got[0]}
            assert got == list(range(6, 21))
            assert counters.answers_cut == 3


async def test_reading_on_outlasts_a_redis_that_hangs(
    redis_layer: ShardedChannelLayer, redis_server: EmbeddedValkey, settings: Settings
) -> None:
    """A page that does not come is asked for again, until it does."""
    settings.REALTIME = {"ROOMS": OPEN_ROOMS, "MAX_CLIENT_ANSWER": 1_000}
    await fill("a", 50, 10_000)
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], publish_timeout=4.0)
    sink = PacedSink()
    try:
        async with Client(sink=sink) as client:
            await client.ask(1, subscribe={"room": "a", **BEGINNING})
            await until(lambda: sink.waiting == 2)
            begun = asyncio.get_running_loop().time()
            with Redis.from_url(redis_server.url) as redis:
                redis.client_pause(12_000)  # ms, three times what the layer waits
            sink.reads.set()
            pushes = [await client.receive() for _ in range(50)]
            assert [push["offset"] for push in pushes] == list(range(1, 51))
            assert asyncio.get_running_loop().time() - begun > 10
    finally:
        await sharded_layer().close()
