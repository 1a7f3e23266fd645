"""How a consumer gets its messages, and how it ends: alike in both families of bases."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from channels.exceptions import StopConsumer
from channels.generic.http import AsyncHttpConsumer
from channels.layers import get_channel_layer
from channels.testing import HttpCommunicator
from pytest_django import Settings

import shardlayer.consumers
from shardlayer.consumers.async_consumer import BURST
from tests.shardlayer.consumers.client import Message, Server
from tests.waiting import PATIENCE, until

FLOOD = 1_000  # messages


def noting(base: Any) -> Any:
    """Return a consumer that notes what it handles, in order, and can be held up."""

    class Noting(base):  # type: ignore[misc]
        groups = ["g"]

        def __init__(self) -> None:
            super().__init__()
            self.handled: list[str] = []
            self.go_on = asyncio.Event()
            self.go_on.set()
            self.handling = 0

        async def note(self, text: str) -> None:
            self.handling += 1
            assert self.handling == 1, "one message at a time"
            self.handled.append(text)
            try:
                await self.go_on.wait()
            finally:
                self.handling -= 1

        async def receive(self, text_data: Any = None, bytes_data: Any = None) -> None:
            await self.note(text_data)

        async def group_message(self, event: Message) -> None:
            await self.note(event["text"])

        async def group_stop(self, event: Message) -> None:
            raise StopConsumer

        async def group_break(self, event: Message) -> None:
            raise LookupError("a handler's own")

    return Noting


async def publish(layer: Any, *texts: str) -> None:
    for text in texts:
        await layer.group_send("g", {"type": "group.message", "text": text})


async def accepted(server: Server) -> None:
    """Wait until the consumer has accepted the connection."""
    await until(lambda: server.sent)


async def disconnect(server: Server, running: asyncio.Task[None]) -> None:
    server.inbox.put_nowait({"type": "websocket.disconnect", "code": 1000})
    await running


async def test_each_kind_keeps_its_order_and_they_take_turns(bases: Any, layer: Any) -> None:
    """Of what waits, a client's message and a group's are handled alternately, each in order."""
    consumer, server = noting(bases.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await accepted(server)
    consumer.go_on.clear()
    server.put("c0")
    await until(lambda: consumer.handled)
    server.put("c1", "c2", "c3")
    await publish(layer, "g0", "g1", "g2", "g3")
    # All have come: on Redis they come together, or a later one before an earlier was asked for.
    probe = await layer.new_channel()
    await layer.group_add("g", probe)
    await publish(layer, "the end")
    await layer.receive(probe)
    consumer.go_on.set()
    await until(lambda: len(consumer.handled) == 9)
    assert consumer.handled == ["c0", "g0", "c1", "g1", "c2", "g2", "c3", "g3", "the end"]
    await disconnect(server, running)


async def test_client_is_not_read_while_its_message_is_handled(bases: Any, layer: Any) -> None:
    """`receive` is called again only after the handler, so a server can slow the client down."""
    consumer, server = noting(bases.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await until(lambda: server.receives == 2)
    consumer.go_on.clear()
    server.put("one", "two")
    await until(lambda: consumer.handled == ["one"])
    assert server.receives == 2
    assert server.inbox.qsize() == 1
    consumer.go_on.set()
    await until(lambda: consumer.handled == ["one", "two"])
    await disconnect(server, running)


async def test_receive_is_never_cancelled_and_called_again(bases: Any, layer: Any) -> None:
    """One call of `receive` waits for the client, however many group messages come."""
    consumer, server = noting(bases.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await until(lambda: server.receives == 2)
    await publish(layer, *map(str, range(50)))
    await until(lambda: len(consumer.handled) == 50)
    assert (server.receives, server.cancelled) == (2, 0)
    await disconnect(server, running)
    assert (server.receives, server.cancelled) == (2, 0)


async def test_disconnect_ends_the_consumer_and_its_tasks(bases: Any, layer: Any) -> None:
    """After `websocket.disconnect` the application returns and leaves no task."""
    before = asyncio.all_tasks()
    consumer, server = noting(bases.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await accepted(server)
    await publish(layer, "a message")
    await until(lambda: consumer.handled)
    await disconnect(server, running)
    left = {task for task in asyncio.all_tasks() - before if "onsumer" in repr(task)}
    assert not left


async def test_stop_consumer_in_any_handler_ends_it_in_silence(bases: Any, layer: Any) -> None:
    """StopConsumer from a group message's handler ends the application, and nothing is raised."""
    server = Server()
    running = server.run(noting(bases.AsyncWebsocketConsumer).as_asgi())
    await until(lambda: server.receives == 2)
    await layer.group_send("g", {"type": "group.stop"})
    await running
    assert server.cancelled == 1, "the pending receive ends with it"


async def test_exception_in_a_handler_ends_the_consumer(bases: Any, layer: Any) -> None:
    """What a handler raises is raised from the application; the pending receive is cancelled."""
    server = Server()
    running = server.run(noting(bases.AsyncWebsocketConsumer).as_asgi())
    await until(lambda: server.receives == 2)
    await layer.group_send("g", {"type": "group.break"})
    with pytest.raises(LookupError, match="a handler's own"):
        await running
    assert server.cancelled == 1


async def test_exception_of_the_server_ends_the_consumer(bases: Any, layer: Any) -> None:
    """What `receive` raises is raised from the application."""

    class Broken(Server):
        async def receive(self) -> Message:
            if self.receives:
                raise ConnectionAbortedError("of the server")
            return await super().receive()

    with pytest.raises(ConnectionAbortedError, match="of the server"):
        await Broken().run(noting(bases.AsyncWebsocketConsumer).as_asgi())


async def test_exception_of_the_layer_ends_the_consumer(bases: Any, settings: Settings) -> None:
    """What a layer's `receive` raises is raised from the application."""
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": f"{__name__}.DeafLayer"}}
    with pytest.raises(ConnectionAbortedError, match="of the layer"):
        await Server().run(bases.AsyncWebsocketConsumer.as_asgi())


class DeafLayer:
    """A channel layer that loses its connection."""

    async def new_channel(self) -> str:
        return "specific!one"

    async def receive(self, channel: str) -> Message:
        raise ConnectionAbortedError("of the layer")


async def test_cancelled_consumer_ends_at_once(bases: Any, layer: Any) -> None:
    """Cancelling an idle consumer cancels its receive and leaves no task."""
    before = asyncio.all_tasks()
    server = Server()
    running = server.run(noting(bases.AsyncWebsocketConsumer).as_asgi())
    await until(lambda: server.receives == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert server.cancelled == 1
    assert not {task for task in asyncio.all_tasks() - before if "onsumer" in repr(task)}


async def test_cancelling_reaches_the_handler_that_runs(bases: Any, layer: Any) -> None:
    """A server that gives up on a consumer cancels what its handler waits for."""
    consumer, server = noting(bases.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await accepted(server)
    consumer.go_on.clear()
    await publish(layer, "a message")
    await until(lambda: consumer.handling)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert consumer.handling == 0


async def test_dispatch_sees_every_message(bases: Any, layer: Any) -> None:
    """An overridden `dispatch` gets the messages of both kinds, and `super` handles them."""

    class Watching(noting(bases.AsyncWebsocketConsumer)):  # type: ignore[misc]
        async def dispatch(self, message: Message) -> None:
            self.handled.append(message["type"])
            await super().dispatch(message)

    consumer, server = Watching(), Server()
    running = server.run(consumer)
    await accepted(server)
    server.put("c")
    await until(lambda: "c" in consumer.handled)
    await publish(layer, "g")
    await until(lambda: "g" in consumer.handled)
    await disconnect(server, running)
    assert consumer.handled == [
        "websocket.connect",
        "websocket.receive",
        "c",
        "group.message",
        "g",
        "websocket.disconnect",
    ]


async def test_layer_reaches_a_consumer_through_its_public_names(bases: Any, layer: Any) -> None:
    """`channel_layer`, `channel_name`, `channel_receive`, `base_send` and `scope` are there."""
    consumer, server = noting(bases.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await accepted(server)
    assert consumer.channel_layer is layer
    assert "!" in consumer.channel_name
    assert callable(consumer.channel_receive)
    assert consumer.base_send == server.send
    assert consumer.scope == {"type": "websocket", "path": "/ws/"}
    await disconnect(server, running)


@pytest.mark.usefixtures("no_layer")
async def test_plain_consumer_serves_http(bases: Any) -> None:
    """AsyncConsumer takes events of any protocol."""

    class Http(bases.AsyncConsumer):  # type: ignore[misc]
        async def http_request(self, event: Message) -> None:
            await self.send({"type": "http.response.start", "status": 200, "headers": []})
            await self.send({"type": "http.response.body", "body": self.scope["query_string"]})

    response = await HttpCommunicator(Http.as_asgi(), "GET", "/test/?a=b").get_response(PATIENCE)
    assert (response["status"], response["body"]) == (200, b"a=b")


async def test_channels_http_consumer_runs_on_our_loop(layer: Any) -> None:
    """AsyncHttpConsumer gets the lean loop with our base before it, and answers as ever."""

    class Http(shardlayer.consumers.AsyncConsumer, AsyncHttpConsumer):  # type: ignore[misc]
        async def handle(self, body: bytes) -> None:
            await self.send_response(200, body, headers=[(b"Content-Type", b"text/plain")])

    response = await HttpCommunicator(Http.as_asgi(), "POST", "/", b"hello").get_response(PATIENCE)
    assert (response["status"], response["body"]) == (200, b"hello")


class TaskCounter:
    """A task factory that counts."""

    def __init__(self) -> None:
        self.created = 0

    def __call__(
        self, loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], **kwargs: Any
    ) -> asyncio.Task[Any]:
        self.created += 1
        return asyncio.Task(coroutine, loop=loop, **kwargs)


def send_flood() -> None:
    """Send many messages to the group, from a thread without a loop: none of its tasks count."""

    async def send() -> None:
        layer = get_channel_layer()
        for number in range(FLOOD):
            await layer.group_send("g", {"type": "group.message", "text": str(number)})

    async_to_sync(send)()


@pytest.mark.parametrize("place", ["memory", "redis"])
async def test_flood_arrives_in_order_without_a_task_per_message(
    place: str, settings: Settings, request: pytest.FixtureRequest
) -> None:
    """1,000 group messages are handled in order, and take fewer than 50 tasks in all."""
    hosts = [f"memory://{uuid4().hex}"]
    if place == "redis":
        hosts = [request.getfixturevalue("redis_server").url]
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "shardlayer.layer.ShardedChannelLayer",
            "CONFIG": {"hosts": hosts, "capacity": FLOOD},
        }
    }
    consumer, server = noting(shardlayer.consumers.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await accepted(server)
    counter: Any = TaskCounter()  # typeshed wants a generic function
    loop = asyncio.get_running_loop()
    loop.set_task_factory(counter)
    try:
        await asyncio.get_running_loop().run_in_executor(None, send_flood)
        await until(lambda: len(consumer.handled) == FLOOD)
    finally:
        loop.set_task_factory(None)
    assert consumer.handled == list(map(str, range(FLOOD)))
    assert counter.created < 50
    await disconnect(server, running)
    await get_channel_layer().close()


async def test_flood_lets_others_have_their_turn(settings: Settings) -> None:
    """Of many messages that wait at most a burst is handled before the event loop goes on."""
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "shardlayer.layer.ShardedChannelLayer",
            "CONFIG": {"hosts": [f"memory://{uuid4().hex}"], "capacity": FLOOD},
        }
    }
    consumer, server = noting(shardlayer.consumers.AsyncWebsocketConsumer)(), Server()
    running = server.run(consumer)
    await accepted(server)
    consumer.go_on.clear()
    layer = get_channel_layer()
    await publish(layer, *map(str, range(FLOOD)))
    consumer.go_on.set()
    turns = [len(consumer.handled)]
    while turns[-1] < FLOOD:
        await asyncio.sleep(0)
        turns.append(len(consumer.handled))
    steps = [later - earlier for earlier, later in pairwise(turns)]
    assert max(steps) <= BURST
    await disconnect(server, running)
    await layer.close()
