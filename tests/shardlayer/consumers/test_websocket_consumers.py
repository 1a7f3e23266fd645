"""What Channels' own tests pin of its WebSocket consumers holds for both families of bases."""

from __future__ import annotations

import json
from typing import Any

import pytest
from channels.exceptions import AcceptConnection, DenyConnection, InvalidChannelLayerError
from channels.layers import get_channel_layer
from channels.sessions import SessionMiddlewareStack
from pytest_django import Settings

from tests.shardlayer.consumers.client import Client, members
from tests.waiting import until


def echo(base: Any) -> Any:
    """Return a consumer that sends back what it gets and notes what happened to it."""

    class Echo(base):  # type: ignore[misc]
        groups = ["chat"]
        seen: list[Any]

        async def connect(self) -> None:
            self.seen = ["connected"]
            await super().connect()

        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            self.seen.append((text_data, bytes_data))
            await self.send(text_data=text_data, bytes_data=bytes_data)

        async def disconnect(self, code: int) -> None:
            self.seen.append(code)

        async def chat_message(self, event: dict[str, Any]) -> None:
            await self.send(text_data=event["text"])

    return Echo


async def test_frames_reach_the_consumer_and_its_answers_the_client(bases: Any, layer: Any) -> None:
    """Text and bytes arrive as sent, and the close code reaches `disconnect`."""
    consumer = echo(bases.AsyncWebsocketConsumer)()
    client = Client(consumer)
    assert await client.connect() == (True, None)
    await client.send_to(text_data="hello")
    assert await client.receive_from() == "hello"
    await client.send_to(bytes_data=b"w\0\0\0")
    assert await client.receive_from() == b"w\0\0\0"
    await client.disconnect(code=4001)
    assert consumer.seen == ["connected", ("hello", None), (None, b"w\0\0\0"), 4001]


async def test_consumer_joins_its_groups_and_leaves_them(bases: Any, layer: Any) -> None:
    """A consumer gets what is sent to `groups`, from connecting until it has disconnected."""
    client = Client(echo(bases.AsyncWebsocketConsumer)())
    await client.connect()
    assert await members(layer, "chat") == 1
    await layer.group_send("chat", {"type": "websocket.receive", "text": "to the group"})
    assert await client.receive_from() == "to the group"
    await client.disconnect()

    async def left() -> bool:
        return await members(layer, "chat") == 0

    await until(left)


async def test_message_to_its_channel_reaches_the_consumer(bases: Any, layer: Any) -> None:
    """`send` to `channel_name` calls the handler that the type names, dots as underscores."""
    consumer = echo(bases.AsyncWebsocketConsumer)()
    client = Client(consumer)
    await client.connect()
    await layer.send(consumer.channel_name, {"type": "chat.message", "text": "just for you"})
    assert await client.receive_from() == "just for you"
    await client.disconnect()


async def test_consumer_uses_the_layer_that_it_names(bases: Any, settings: Settings) -> None:
    """`channel_layer_alias` chooses the channel layer."""
    settings.CHANNEL_LAYERS = {"other": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

    class Elsewhere(echo(bases.AsyncWebsocketConsumer)):  # type: ignore[misc]
        channel_layer_alias = "other"

    client = Client(Elsewhere())
    await client.connect()
    other = get_channel_layer("other")
    await other.group_send("chat", {"type": "chat.message", "text": "hello"})
    assert await client.receive_from() == "hello"
    await client.disconnect()
    assert other.groups == {}


@pytest.mark.usefixtures("no_layer")
async def test_groups_without_a_layer_are_an_error(bases: Any) -> None:
    """A consumer with groups and no layer to keep them in fails as it connects."""
    client = Client(echo(bases.AsyncWebsocketConsumer).as_asgi())
    await client.send_input({"type": "websocket.connect"})
    with pytest.raises(InvalidChannelLayerError, match="BACKEND is unconfigured"):
        await client.wait()


@pytest.mark.usefixtures("no_layer")
async def test_groups_without_a_layer_are_an_error_at_the_end(bases: Any) -> None:
    """So it does as it disconnects, if it came that far."""

    class Late(bases.AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            self.groups = ["chat"]
            await self.accept()

    client = Client(Late.as_asgi())
    await client.connect()
    with pytest.raises(InvalidChannelLayerError, match="BACKEND is unconfigured"):
        await client.disconnect()


@pytest.mark.usefixtures("no_layer")
async def test_consumer_works_without_a_layer(bases: Any) -> None:
    """No layer is needed by a consumer without groups."""

    class Alone(echo(bases.AsyncWebsocketConsumer)):  # type: ignore[misc]
        groups = None

    consumer = Alone()
    client = Client(consumer)
    await client.connect()
    assert consumer.channel_layer is None
    await client.send_to(text_data="hello")
    assert await client.receive_from() == "hello"
    await client.disconnect()


async def test_subprotocol_is_chosen_by_the_consumer(bases: Any, layer: Any) -> None:
    """The client's subprotocols stand in the scope, and `accept` names one, with headers."""

    class Choosy(bases.AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            assert self.scope["subprotocols"] == ["one", "two"]
            await self.accept("two", headers=[(b"x-seen", b"1")])

    client = Client(Choosy.as_asgi(), subprotocols=["one", "two"])
    assert await client.connect() == (True, "two")
    assert client.response_headers == [(b"x-seen", b"1")]
    await client.disconnect()


@pytest.mark.parametrize(
    ("exception", "answer"), [(AcceptConnection, (True, None)), (DenyConnection, (False, 1000))]
)
async def test_exception_in_connect_answers_the_handshake(
    bases: Any, layer: Any, exception: type[Exception], answer: tuple[bool, int | None]
) -> None:
    """AcceptConnection accepts and DenyConnection refuses, from anywhere in `connect`."""

    class Deciding(bases.AsyncWebsocketConsumer):  # type: ignore[misc]
        async def connect(self) -> None:
            raise exception

    client = Client(Deciding.as_asgi())
    assert await client.connect() == answer
    await client.disconnect()


async def test_consumer_closes_with_code_and_reason(bases: Any, layer: Any) -> None:
    """`close` sends them, and `send(close=...)` closes after the message."""

    class Closing(bases.AsyncWebsocketConsumer):  # type: ignore[misc]
        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            await self.send(text_data="bye", close=4005)
            await self.close(code=4006, reason="enough")
            await self.send(bytes_data=b"bye", close=True)
            with pytest.raises(ValueError, match="must pass one"):
                await self.send()

    client = Client(Closing.as_asgi())
    await client.connect()
    await client.send_to(text_data="x")
    assert [await client.receive_output() for _ in range(5)] == [
        {"type": "websocket.send", "text": "bye"},
        {"type": "websocket.close", "code": 4005},
        {"type": "websocket.close", "code": 4006, "reason": "enough"},
        {"type": "websocket.send", "bytes": b"bye"},
        {"type": "websocket.close"},
    ]
    await client.disconnect()


async def test_json_is_decoded_and_encoded(bases: Any, layer: Any) -> None:
    """`receive_json` gets values, `send_json` takes them; bytes are an error."""
    received = []

    class Json(bases.AsyncJsonWebsocketConsumer):  # type: ignore[misc]
        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            received.append(content)
            await self.send_json(content)

    client = Client(Json.as_asgi())
    await client.connect()
    value = {"hello": "wörld", "n": [1, 2.5, None, True, {"deep": "\u2028"}]}
    await client.send_json_to(value)
    assert await client.receive_json_from() == value
    assert received == [value]
    await client.send_to(bytes_data=b"w\0\0\0")
    with pytest.raises(ValueError, match="No text section"):
        await client.wait()


async def test_broken_json_ends_the_consumer(bases: Any, layer: Any) -> None:
    """Text that is no JSON raises json's own error from the consumer."""
    client = Client(bases.AsyncJsonWebsocketConsumer.as_asgi())
    await client.connect()
    await client.send_to(text_data="{")
    with pytest.raises(json.JSONDecodeError):
        await client.wait()


async def test_json_coding_can_be_overridden(bases: Any, layer: Any) -> None:
    """A subclass's `encode_json` and `decode_json` are used."""

    class Reversing(bases.AsyncJsonWebsocketConsumer):  # type: ignore[misc]
        @classmethod
        async def decode_json(cls, text_data: str) -> Any:
            return await super().decode_json(text_data[::-1])

        @classmethod
        async def encode_json(cls, content: Any) -> str:
            encoded: str = await super().encode_json(content)
            return encoded[::-1]

        async def receive_json(self, content: Any, **kwargs: Any) -> None:
            await self.send_json(content, close=True)

    client = Client(Reversing.as_asgi())
    await client.connect()
    await client.send_to(text_data="]21[")
    assert await client.receive_from() == "]21["
    assert await client.receive_output() == {"type": "websocket.close"}
    await client.disconnect()


@pytest.mark.parametrize("type_", ["_private", ".private"])
async def test_private_method_is_no_handler(bases: Any, layer: Any, type_: str) -> None:
    """A type with a leading underscore or dot calls nothing and is an error."""

    class Private(bases.AsyncWebsocketConsumer):  # type: ignore[misc]
        async def _private(self, event: Any) -> None:
            raise AssertionError("called")

    consumer = Private()
    client = Client(consumer)
    await client.connect()
    await layer.send(consumer.channel_name, {"type": type_})
    with pytest.raises(ValueError, match=r"Malformed type in message \(leading underscore\)"):
        await client.wait()


@pytest.mark.parametrize(
    ("message", "says"),
    [({"type": "nobody.home"}, "No handler for message type nobody.home"), ({}, "no 'type'")],
)
async def test_message_that_nobody_handles_is_an_error(
    bases: Any, layer: Any, message: dict[str, Any], says: str
) -> None:
    """A type without a handler, or none at all, ends the consumer with a ValueError."""
    consumer = echo(bases.AsyncWebsocketConsumer)()
    client = Client(consumer)
    await client.connect()
    await layer.send(consumer.channel_name, message)
    with pytest.raises(ValueError, match=says):
        await client.wait()


@pytest.mark.django_db
async def test_each_connection_has_its_own_consumer_and_scope(bases: Any, layer: Any) -> None:
    """`as_asgi` makes a consumer for each scope, also behind middleware."""

    class Path(bases.AsyncWebsocketConsumer):  # type: ignore[misc]
        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            await self.send(text_data=self.scope["path"])

    application = SessionMiddlewareStack(Path.as_asgi())
    first, second = Client(application, "/first/"), Client(application, "/second/")
    await first.connect()
    await second.connect()
    for client, path in ((second, "/second/"), (first, "/first/")):
        await client.send_to(text_data="where?")
        assert await client.receive_from() == path
    await first.disconnect()
    await second.disconnect()


def test_as_asgi_passes_arguments_and_names_its_class(bases: Any) -> None:
    """The application knows its class and what instances are made with."""

    class Configured(bases.AsyncWebsocketConsumer):  # type: ignore[misc]
        """Says what it is."""

    application = Configured.as_asgi(color="red")
    assert application.consumer_class is Configured
    assert application.consumer_initkwargs == {"color": "red"}
    assert application.__doc__ == "Says what it is."


def test_ours_are_channels_consumers(bases: Any) -> None:
    """Code that asks for Channels' classes finds them."""
    from channels.consumer import AsyncConsumer
    from channels.generic import websocket

    assert issubclass(bases.AsyncConsumer, AsyncConsumer)
    assert issubclass(bases.AsyncWebsocketConsumer, bases.AsyncConsumer)
    assert issubclass(bases.AsyncWebsocketConsumer, websocket.AsyncWebsocketConsumer)
    assert issubclass(bases.AsyncJsonWebsocketConsumer, bases.AsyncWebsocketConsumer)
    assert issubclass(bases.AsyncJsonWebsocketConsumer, websocket.AsyncJsonWebsocketConsumer)
