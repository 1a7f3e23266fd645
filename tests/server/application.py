"""The ASGI application that the server under test serves: each path is one behaviour."""

from __future__ import annotations

import asyncio
import atexit
import copy
import dataclasses
import gc
import json
import os
import pickle
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from shardlayer.core.frames import Broadcast
from shardlayer.core.types import Sink
from shardlayer.server.server_counters import counters
from shardlayer.server.sink import SocketSink

OF_ONE_REQUEST = (
    "shardlayer.server.http_channel.PacedChannel",
    "shardlayer.server.http_limits.HTTPRequest",
    "twisted.internet.tcp.Server",
)
OF_CONNECTIONS = {
    *OF_ONE_REQUEST,
    "shardlayer.server.handshake.Opening",
    "shardlayer.server.sink.SocketSink",
    "shardlayer.server.wrapped_sink.TransportSink",
    "shardlayer.server.sniffer.Sniffer",
    "shardlayer.server.websocket_protocol.WebSocketProtocol",
    "websockets.server.ServerProtocol",
}

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

members: list[Sink] = []
disconnects: list[Message] = []
received: list[int] = []
sent: Counter[str] = Counter()  # answers of /large, parts of /paced
gate = asyncio.Event()
broadcasters: set[asyncio.Task[None]] = set()


async def application(scope: Scope, receive: Receive, send: Send) -> None:
    """Do what the path says."""
    if scope["type"] == "http":
        await http(scope, receive, send)
        return
    await receive()  # websocket.connect
    query = {
        name: values[-1]
        for name, values in parse_qs(scope["query_string"].decode(), keep_blank_values=True).items()
    }
    await SOCKETS[scope["path"]](scope, receive, send, query)


async def http(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer what is asked below, and send back the body of anything else."""
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    body = b"".join(parts)
    if scope["path"] == "/state":
        state = {
            "counters": dataclasses.asdict(counters),
            "disconnects": disconnects,
            "gc": {"frozen": gc.get_freeze_count(), "threshold": gc.get_threshold()[0]},
            "is_joined": scope["extensions"]["shardlayer"]["worker"].is_joined,
            "members": len(members),
            "received": received,
            "sent": sent,
        }
        body = json.dumps(state).encode()
    elif scope["path"] == "/garbage":
        body = json.dumps(garbage()).encode()
    elif scope["path"] == "/objects":
        body = json.dumps(objects()).encode()
    elif scope["path"] == "/scope":
        body = json.dumps(scope, default=repr).encode()
    elif scope["path"] == "/large":
        body = b"x" * int(scope["query_string"])
        sent["large"] += 1
    elif scope["path"] == "/paced":
        await paced(scope, send)
        return
    elif scope["path"] == "/still":
        with open(scope["query_string"], "rb") as pipe:  # noqa: ASYNC230 - all stand still
            pipe.read()
    elif scope["path"] == "/open":
        gate.set()
    elif scope["path"] == "/hang":
        if scope["query_string"] == b"begun":
            await send({"type": "http.response.start", "status": 200})
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        await asyncio.Event().wait()
    elif scope["path"] == "/cut":
        await send({"type": "http.response.start", "status": 200})
        await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        scope["extensions"]["shardlayer"]["pace"].abort()
        return
    elif scope["path"].startswith("/fail/"):
        if scope["query_string"]:
            headers = [(b"x-why", b"begun")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["query_string"].startswith(b"sent"):
            await send({"type": "http.response.body", "body": b"begun", "more_body": True})
        fail(scope["path"].removeprefix("/fail/"), scope["query_string"].decode())
        return
    else:
        body = b"%b %b" % (scope["method"].encode(), body)
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def fail(how: str, why: str) -> None:
    """Leave a response as it is: return, raise or be cancelled."""
    if how == "raises":
        raise LookupError(f"made up {why}")
    if how == "is-cancelled":
        raise asyncio.CancelledError


async def paced(scope: Scope, send: Send) -> None:
    """Send a first part of so many bytes, then 400 of 100,000, each when the client has read."""
    pace = scope["extensions"]["shardlayer"]["pace"]
    await send({"type": "http.response.start", "status": 200})
    for size in (int(scope["query_string"]), *(100_000 for _ in range(400))):
        await send({"type": "http.response.body", "body": b"x" * size, "more_body": True})
        sent["paced"] += 1
        await pace.wait_drained()
    await send({"type": "http.response.body", "body": b"end"})


def garbage() -> list[str]:
    """Collect what no reference count has freed, and return what there is of it.

    The collector runs here alone, so that nothing is collected in between.
    """
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    gc.collect()
    found = [f"{type(item).__module__}.{type(item).__qualname__}" for item in gc.garbage]
    gc.set_debug(0)
    gc.garbage.clear()
    gc.collect()
    return found


def objects() -> dict[str, int]:
    """Count the objects of connections that there are, beside those of the request for this."""
    found = Counter(
        name
        for item in gc.get_objects()
        if (name := f"{type(item).__module__}.{type(item).__qualname__}") in OF_CONNECTIONS
    )
    found.subtract(OF_ONE_REQUEST)
    return dict(+found)


async def echo(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Send each message back; note how the connection ended."""
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] != "websocket.disconnect":
        await send({**message, "type": "websocket.send"})
    disconnects.append(message)


async def show_scope(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Send the scope as JSON, what isn't JSON as its repr."""
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps(scope, default=repr)})
    await receive()


async def accept(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Accept with the subprotocol and the header that the query names."""
    message: Message = {"type": "websocket.accept", "subprotocol": query.get("subprotocol")}
    if "header" in query:
        name, _, value = query["header"].partition(":")
        message["headers"] = [(name.encode("latin-1"), value.encode("latin-1"))]
    await send(message)
    await receive()


async def limited(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Echo messages of no more bytes than the query string says."""
    scope["extensions"]["shardlayer"]["sink"].limit_messages(int(scope["query_string"]))
    await echo(scope, receive, send, query)


async def copied(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Send the scope, copied in each way, and whether the copy has the sink."""
    await send({"type": "websocket.accept"})
    sink = scope["extensions"]["shardlayer"]["sink"]
    for made in (copy.copy(scope), copy.deepcopy(scope), pickle.loads(pickle.dumps(scope))):
        extensions = made.pop("extensions")
        rest = {key: value for key, value in scope.items() if key != "extensions"}
        found = [made == rest, extensions["shardlayer"]["sink"] is sink]
        if not found[1]:
            found.append(extensions["shardlayer"]["sink"])
        await send({"type": "websocket.send", "text": json.dumps(found)})
        if made is scope:
            raise RuntimeError("A copy is another object.")
    await receive()


async def reject(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Close before accepting."""
    await send({"type": "websocket.close"})
    disconnects.append(await receive())


async def deny(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Refuse with a response of the application's own, in two parts."""
    headers = [(b"content-type", b"text/x-why"), (b"x-why", b"because")]
    await send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": b"not ", "more_body": True})
    await send({"type": "websocket.http.response.body", "body": b"now"})


async def close(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Accept, close as the query says, send something more and note the end."""
    await send({"type": "websocket.accept"})
    await send(
        {
            "type": "websocket.close",
            "code": int(query["code"]),
            "reason": query.get("reason"),
        }
    )
    await send({"type": "websocket.send", "text": "after the close"})
    scope["extensions"]["shardlayer"]["sink"].write(Broadcast([b'"after the close"']))
    disconnects.append(await receive())


async def crash(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Raise, after accepting if the query says so."""
    if "open" in query:
        await send({"type": "websocket.accept"})
    raise RuntimeError("crashed as it should")


async def leave(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Return at once, after accepting if the query says so."""
    if "open" in query:
        await send({"type": "websocket.accept"})


async def stubborn(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Accept, and go on for ever after the client has left."""
    await send({"type": "websocket.accept"})
    await asyncio.Event().wait()


async def silent(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Never answer the handshake."""
    await receive()


async def gated(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Read nothing until the gate opens, then all, noting the lengths."""
    await send({"type": "websocket.accept"})
    await gate.wait()
    while (message := await receive())["type"] != "websocket.disconnect":
        received.append(len(message["text"]))
        if message["text"] == "end":
            await send({"type": "websocket.send", "text": str(len(received))})


async def flood(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Send numbered messages of the size that the query names, waiting as `send` says."""
    await send({"type": "websocket.accept"})
    for number in range(int(query["count"])):
        text = f"{number:08d}" + "x" * int(query["size"])
        await send({"type": "websocket.send", "text": text})
    await receive()


async def room(scope: Scope, receive: Receive, send: Send, query: dict[str, str]) -> None:
    """Join the one room, and take commands for it.

    {"broadcast": COUNT, "size": BYTES} writes numbered texts to all members; "close" closes
    each with the code, a third of the way through that broadcast if there is one.
    """
    sink: SocketSink = scope["extensions"]["shardlayer"]["sink"]
    await send({"type": "websocket.accept"})
    members.append(sink)
    while (message := await receive())["type"] != "websocket.disconnect":
        command = json.loads(message["text"])
        count, padding = command.get("broadcast", 0), "x" * command.get("size", 0)
        for number in range(count):
            if command.get("close") and number == count // 3:
                for member in members:
                    member.close(command["close"], "over")
            broadcast = Broadcast([f'"{number:08d}{padding}"'.encode()])
            for member in members:
                member.write(broadcast)
            if command.get("mixed"):  # the same order for what goes by `send`
                await send({"type": "websocket.send", "text": f"sent {number}"})
            await asyncio.sleep(command.get("pause", 0))
        await send({"type": "websocket.send", "text": "done"})
    members.remove(sink)
    disconnects.append(message)


SOCKETS = {
    "/accept": accept,
    "/close": close,
    "/copied": copied,
    "/crash": crash,
    "/deny": deny,
    "/echo": echo,
    "/flood": flood,
    "/gated": gated,
    "/leave": leave,
    "/limited": limited,
    "/reject": reject,
    "/room": room,
    "/scope": show_scope,
    "/silent": silent,
    "/stubborn": stubborn,
}


def show_garbage() -> None:
    """Write what no reference count has freed, in one line."""
    sys.stderr.write(f"Left at the end: {json.dumps(garbage())}\n")


if os.environ.get("SHOW_GARBAGE"):
    gc.disable()
    atexit.register(show_garbage)
