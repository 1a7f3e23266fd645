"""Publishing from Django."""

from __future__ import annotations

import re
import time
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils.translation import gettext_lazy, override
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import (
    aannounce,
    ahistory,
    announce,
    apublish,
    apublish_many,
    disconnect,
    history,
    presence,
    publish,
    publish_many,
)
from realtime.rooms.room_names import OWN_ROOMS
from realtime.sharded_layer import sharded_layer
from shardlayer import MessageTooLarge, ShardedChannelLayer, ShardUnavailable
from tests.realtime.conftest import channel_layers


async def test_apublish_returns_the_position(memory_layer: ShardedChannelLayer) -> None:
    """A publication is in the room's history where it says."""
    first = await apublish("general", {"n": 1})
    second = await apublish("general", {"n": 2})
    assert first is not None
    assert second is not None
    assert (first.offset, second.offset) == (1, 2)
    assert [item.data for item in await memory_layer.history("general")] == [
        b'{"n":1}',
        b'{"n":2}',
    ]


async def test_same_key_publishes_once(redis_layer: ShardedChannelLayer) -> None:
    """Under the same key the first one's position is answered; each room has keys of its own."""
    first = await apublish("general", 1, idempotency_key="order-7")
    assert await apublish("general", 2, idempotency_key="order-7") == first
    other = await apublish("general", 3, idempotency_key="order-8")
    assert first is not None
    assert other is not None
    assert (first.offset, other.offset) == (1, 2)
    assert await apublish("elsewhere", 4, idempotency_key="order-7") is not None
    assert [item.data for item in await redis_layer.history("general")] == [b"1", b"3"]
    assert [item.data for item in await redis_layer.history("elsewhere")] == [b"4"]


async def test_many_rooms_in_one_call(redis_layer: ShardedChannelLayer) -> None:
    """Each item's position comes back in order; a room may come twice, and keeps its order."""
    news = {"n": 1}
    items = [(f"room-{number}", news) for number in range(20)] + [("room-0", "second")]
    positions = await apublish_many(items)
    assert [position.offset for position in positions if position] == [1] * 20 + [2]
    assert [item.data for item in await redis_layer.history("room-0")] == [b'{"n":1}', b'"second"']
    (position,) = await apublish_many({"room-1": 2})
    assert position == (await ahistory("room-1")).position
    assert await apublish_many([]) == []


async def test_many_with_a_wrong_item_send_nothing(memory_layer: ShardedChannelLayer) -> None:
    """What is wrong is found before anything is sent."""
    for wrong, error, words in (
        (("no room", 1), ValueError, "no room"),
        (("b", object()), TypeError, "JSON"),
        ("ab", TypeError, "pairs of a room and its data, not 'ab'"),
        (("b", 1, 2), TypeError, "pairs"),
        (("b", "x" * 1_048_576), MessageTooLarge, "bytes"),
    ):
        with pytest.raises(error, match=words):
            await apublish_many([("a", 1), wrong])  # type: ignore[list-item]
    assert await memory_layer.history("a") == []


def test_many_from_synchronous_code(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A script publishes to several rooms without a loop."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    first, second = publish_many([("a", 1), ("b", 2)])
    assert first is not None
    assert second is not None


async def test_history_of_a_room(memory_layer: ShardedChannelLayer) -> None:
    """The newest, oldest first, as values; those before an offset; and where the room stands."""
    positions = [await apublish("general", {"n": n}) for n in range(4)]
    past = await ahistory("general", limit=2)
    assert [(item.offset, item.data) for item in past.publications] == [
        (3, {"n": 2}),
        (4, {"n": 3}),
    ]
    assert past.position == positions[-1]
    older = await ahistory("general", limit=100, before=3)
    assert [item.offset for item in older.publications] == [1, 2]
    assert (await ahistory("never")).publications == []
    for limit, before in ((0, 0), (1_001, 0), (1, -1)):
        with pytest.raises(ValueError, match="it takes"):
            await ahistory("general", limit=limit, before=before)
    with pytest.raises(ValueError, match="can't name a room"):
        await ahistory("no room")


def test_history_from_synchronous_code(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A view reads it without a loop."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    publish("general", 1)
    assert [item.data for item in history("general").publications] == [1]


async def test_synchronous_call_in_a_loop_names_its_twin(memory_layer: ShardedChannelLayer) -> None:
    """Whoever would hold up an event loop is told what to await."""
    for call, twin in (
        (lambda: publish("general", 1), "apublish()"),
        (lambda: publish_many([("general", 1)]), "apublish_many()"),
        (lambda: history("general"), "ahistory()"),
        (lambda: presence("general"), "apresence()"),
        (lambda: disconnect(7), "adisconnect()"),
    ):
        with pytest.raises(RuntimeError, match=f"await {re.escape(twin)}"):
            call()


def test_lazy_text_has_the_callers_language(
    settings: Settings, redis_server: EmbeddedValkey
) -> None:
    """It is encoded in the caller's thread, though another one sends it."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    with override("de"):
        publish("general", gettext_lazy("Yes"))
    assert [item.data for item in history("general").publications] == ["Ja"]


async def test_bad_input_is_refused(memory_layer: ShardedChannelLayer) -> None:
    """A bad name, data without a JSON form or too large: an error, and nothing is sent."""
    with pytest.raises(ValueError, match="'no room'"):
        await apublish("no room", 1)
    for room in OWN_ROOMS:
        with pytest.raises(ValueError, match="own rooms"):
            await apublish(room, {"at": time.time(), "user": "7"})
        with pytest.raises(ValueError, match="own rooms"):
            await apublish_many([("general", 1), (room, 1)])
        assert await memory_layer.history(room) == []
    with pytest.raises(TypeError, match="JSON"):
        await apublish("general", object())
    with pytest.raises(TypeError, match="idempotency key"):
        await apublish("general", 1, idempotency_key="x" * 129)
    with pytest.raises(MessageTooLarge):
        await apublish("general", "x" * 1_048_576)
    assert await memory_layer.history("general") == []
    with pytest.raises(TypeError, match="JSON"):
        await aannounce(object())
    with pytest.raises(MessageTooLarge):
        await aannounce("x" * 1_048_576)


async def test_other_layers_are_refused(settings: Settings) -> None:
    """Channels' own layers can't publish; the setting to change is named."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    with pytest.raises(TypeError, match="CHANNEL_LAYERS"):
        await apublish("general", 1)
    settings.CHANNEL_LAYERS = {}
    with pytest.raises(TypeError, match="CHANNEL_LAYERS has no layer"):
        sharded_layer()


def test_publish_from_synchronous_code(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """The synchronous twin does the same, many times in one process."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    positions = [publish("general", {"n": n}) for n in range(5)]
    assert [position.offset for position in positions if position] == [1, 2, 3, 4, 5]
    assert publish("general", 6, idempotency_key="k") == publish("general", 7, idempotency_key="k")


async def test_publish_in_an_event_loop_is_refused(memory_layer: ShardedChannelLayer) -> None:
    """It would hold the loop up; nothing was published."""
    with pytest.raises(RuntimeError, match="await"):
        publish("general", 1)
    with pytest.raises(RuntimeError, match="await"):
        announce(1)
    assert await memory_layer.history("general") == []


def test_publish_without_redis(settings: Settings) -> None:
    """Without Redis publishing fails after the layer's limit and names the server."""
    host = f"redis://127.0.0.1:{free_port()}"
    settings.CHANNEL_LAYERS = channel_layers(hosts=[host], publish_timeout=0.2)
    with pytest.raises(ShardUnavailable, match=r"127\.0\.0\.1"):
        publish("general", 1)
    with pytest.raises(ShardUnavailable, match=r"127\.0\.0\.1"):
        announce(1)


class TestCommand:
    """`manage.py realtime publish` and `manage.py realtime announce`."""

    def test_publishes_the_json_as_given(
        self, settings: Settings, redis_server: EmbeddedValkey
    ) -> None:
        """The data go out byte by byte; the command says where they went."""
        settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
        out = StringIO()
        call_command("realtime", "publish", "general", ' {"a": 1.0}', stdout=out)
        assert "general at offset 1" in out.getvalue()

    def test_same_key_publishes_once(
        self, settings: Settings, redis_server: EmbeddedValkey
    ) -> None:
        """Run again under the same key it shows where the first one is."""
        settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
        out = StringIO()
        for data in ("1", "2"):
            call_command("realtime", "publish", "general", data, "--key", "nightly", stdout=out)
        first, second = out.getvalue().splitlines()
        assert first == second

    def test_room_without_history(self, settings: Settings) -> None:
        """Where nothing is kept it says so."""
        settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"], history={})
        out = StringIO()
        call_command("realtime", "publish", "general", "1", stdout=out)
        assert "keeps no history" in out.getvalue()

    def test_reads_standard_input(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A hyphen takes the data from standard input."""
        settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
        monkeypatch.setattr("sys.stdin", StringIO('{"a": 1}\n'))
        out = StringIO()
        call_command("realtime", "publish", "general", "-", stdout=out)
        assert "offset 1" in out.getvalue()

    def test_announces_the_json_as_given(self, settings: Settings) -> None:
        """`manage.py realtime announce` says what it did; what it can't announce is a line."""
        settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
        out = StringIO()
        call_command("realtime", "announce", '{"text": "Soon."}', stdout=out)
        assert out.getvalue() == "Announced to all connected clients.\n"
        with pytest.raises(CommandError, match="Not JSON"):
            call_command("realtime", "announce", "Soon.")
        settings.CHANNEL_LAYERS = channel_layers(
            hosts=[f"redis://127.0.0.1:{free_port()}"], publish_timeout=0.2
        )
        with pytest.raises(CommandError, match="is not available"):
            call_command("realtime", "announce", "1")

    @pytest.mark.parametrize(
        ("room", "data", "words"),
        [("general", "{", "Not JSON"), ("no room", "1", "can't name a room")],
    )
    def test_errors_are_lines(self, room: str, data: str, words: str) -> None:
        """What is wrong is one line, not a traceback."""
        with pytest.raises(CommandError, match=words):
            call_command("realtime", "publish", room, data)
