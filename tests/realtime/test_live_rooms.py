"""State without a race: what is published at whatever step is in the page, or comes, or both."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.template import Context, RequestContext, Template
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime import apublish, publish
from realtime.live_rooms import UNKNOWN, LiveRoom, aposition, counters, live, position
from realtime.room_tokens import read_room_token
from realtime.sharded_layer import sharded_layer
from shardlayer import BEGINNING, Position, ShardedChannelLayer, ShardUnavailable
from tests.realtime.client import Client
from tests.realtime.conftest import channel_layers
from tests.realtime.open_rooms import OPEN_ROOMS

PATIENT = {"POSITION_TIMEOUT": 20.0}  # a busy machine takes its time
TAG = "{% load realtime %}<ul {% realtime_room room %}></ul>"


@pytest.fixture
def layer(settings: Settings, redis_server: EmbeddedValkey) -> Iterator[None]:
    """A layer on a real server, for code without an event loop."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = settings.REALTIME | PATIENT
    yield
    asyncio.run(sharded_layer().close())


@pytest.fixture
def no_redis(settings: Settings) -> Iterator[None]:
    """A layer whose server takes connections and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        host = f"redis://127.0.0.1:{mute.getsockname()[1]}"
        settings.CHANNEL_LAYERS = channel_layers(hosts=[host])
        settings.REALTIME = settings.REALTIME | {"POSITION_TIMEOUT": 0.1}
        yield
        asyncio.run(sharded_layer().close())


class TestPosition:
    """`position` and `aposition`."""

    def test_it_is_that_of_the_newest_publication(self, layer: None) -> None:
        """Before the first one a room is at the beginning."""
        assert position("orders") == BEGINNING
        first = publish("orders", 1)
        assert position("orders") == first
        assert asyncio.run(aposition("orders")) == first

    def test_a_room_without_history_has_none(self, layer: None, settings: Settings) -> None:
        """Nobody can go on there."""
        rooms = {"now.*": {"history": None}, **OPEN_ROOMS}
        settings.REALTIME = settings.REALTIME | {"ROOMS": rooms}
        publish("now.cpu", 1)
        assert position("now.cpu") is None

    def test_what_is_no_room_is_refused(self, layer: None) -> None:
        """As by publish."""
        with pytest.raises(ValueError, match="letters"):
            position("no room")
        with pytest.raises(ValueError, match="letters"), live("no room"):
            pass

    def test_an_event_loop_is_not_held_up(self, layer: None) -> None:
        """The error says what to do."""

        async def view() -> None:
            position("orders")

        with pytest.raises(RuntimeError, match="await"):
            asyncio.run(view())

    def test_a_server_that_is_away_is_given_up_in_time(self, no_redis: None) -> None:
        """POSITION_TIMEOUT counts, and the error names the server."""
        with pytest.raises(ShardUnavailable, match=r"127\.0\.0\.1.*0\.1 s"):
            position("orders")


class TestLive:
    """`with live("orders") as room:` and `{% realtime_room room %}`."""

    def test_the_template_gets_what_the_block_took(self, layer: None) -> None:
        """Inside the block by the room's name, behind it with the room."""
        taken = publish("orders", 1)
        assert taken is not None
        html = f'<ul data-room="orders" data-offset="1" data-epoch="{taken.epoch}"></ul>'
        with live("orders") as room:
            publish("orders", 2)
            assert Template(TAG).render(Context({"room": "orders"})) == html
        assert room == LiveRoom(room="orders", position=taken)
        assert Template(TAG).render(Context({"room": room})) == html
        assert room.fields == {"room": "orders", "offset": 1, "epoch": taken.epoch}
        assert f"<ul {room}></ul>" == html
        assert 'data-offset="2"' in Template(TAG).render(Context({"room": "orders"}))

    def test_blocks_may_stand_in_each_other(self, layer: None) -> None:
        """Each room has its own; the innermost of one room counts."""
        with live("a"), live("b"):
            publish("a", 1)
            publish("b", 1)
            with live("a"):
                html = Template(TAG).render(Context({"room": "a"}))
                assert 'data-offset="1"' in html
            assert 'data-offset="0"' in Template(TAG).render(Context({"room": "a"}))
            assert 'data-offset="0"' in Template(TAG).render(Context({"room": "b"}))

    def test_a_room_without_history_has_no_position(self, layer: None, settings: Settings) -> None:
        """Its client learns nothing but its name."""
        settings.REALTIME = settings.REALTIME | {"ROOMS": {"*": {"history": None}}}
        with live("now") as room:
            assert Template(TAG).render(Context({"room": room})) == '<ul data-room="now"></ul>'
        assert room.fields == {"room": "now"}

    def test_the_tag_brings_a_token(self, layer: None) -> None:
        """For a room that is closed to those without one."""
        template = Template("{% load realtime %}{% realtime_room 'orders' token=True %}")
        html = template.render(RequestContext(HttpRequest()))
        token = html.partition('data-token="')[2].rstrip('"')
        assert read_room_token("orders", token)

    async def test_an_asynchronous_view_takes_it_itself(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """Then its templates have it; without, they say what is missing."""
        taken = await apublish("orders", 1)
        async with live("orders") as room:
            assert 'data-offset="1"' in Template(TAG).render(Context({"room": "orders"}))
        assert room.position == taken
        with pytest.raises(ImproperlyConfigured, match="async with live"):
            Template(TAG).render(Context({"room": "orders"}))

    def test_without_redis_the_page_is_made_all_the_same(self, no_redis: None) -> None:
        """With a position that no room ever has, so that its client loads again."""
        before = counters.unknown
        with live("orders") as room:
            assert room.position == UNKNOWN

        async def view() -> Position | None:
            async with live("orders") as room:
                return room.position

        assert asyncio.run(view()) == UNKNOWN
        assert counters.unknown == before + 2

    async def test_no_room_is_at_the_unknown_position(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """Whoever goes on from it is told that something may be missing."""
        await apublish("orders", 1)
        async with Client() as client:
            wanted = {"room": "orders", "offset": UNKNOWN.offset, "epoch": UNKNOWN.epoch}
            answer = await client.ask(1, subscribe=wanted)
            assert answer["subscribed"]["recovered"] is False


@pytest.mark.parametrize("often", [1, 3])
@pytest.mark.parametrize("first", [True, False], ids=["new", "known"])
async def test_nothing_is_missing_whenever_it_is_published(
    settings: Settings, redis_layer: ShardedChannelLayer, often: int, first: bool
) -> None:
    """Something changes at every step from before the view to behind the subscription.

    Each change is a row first and published then. What the page read and what its client got are
    all rows, and no publication comes twice, nor one that was before the page.
    """
    settings.REALTIME = settings.REALTIME | PATIENT
    numbers, rows = count(1), []

    async def change() -> None:
        for _ in range(often):
            rows.append(next(numbers))
            await apublish("orders", rows[-1])

    @sync_to_async
    def view() -> tuple[list[int], dict[str, object]]:
        with live("orders") as room:
            asyncio.run(change())
            read = list(rows)
            asyncio.run(change())
            return read, room.fields

    if not first:
        await change()
    before = len(rows)
    read, wanted = await view()
    await change()
    async with Client() as client:
        await change()
        answer = await client.ask(1, subscribe=wanted)
        subscribed = answer["subscribed"]
        got: list[Any] = [each["data"] for each in subscribed["publications"]]
        await change()
        got += [(await client.receive())["data"] for _ in range(often)]
        assert client.nothing_waits()
    assert subscribed["recovered"] is True
    assert set(read) | set(got) == set(rows)
    assert got == rows[before:]
