"""How the peers are started whose clients have to be let in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from websockets.sync.client import connect

from benchmarks.greeting import Greeting, Step
from benchmarks.peers.base import ROOM, Unavailable
from benchmarks.peers.ours.peer import OURS
from benchmarks.peers.signed_in.prepare import PUBLIC_KEY
from benchmarks.peers.stock.peer import STOCK

_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "benchmarks.peers.signed_in.settings",
    "DATABASE_URL": "sqlite:///{folder}/signed-in.sqlite3",
}
_ONE_USER = {
    "DJANGO_SETTINGS_MODULE": "benchmarks.peers.signed_in.one_user_settings",
    "BENCHMARK_JWT_KEY": f"{{folder}}/{PUBLIC_KEY}",
}
_CREDENTIALS = "signed-in.json"
LOG_AGE = 2.5  # seconds after which the worker's log is older than what is issued


def _prepare(folder: Path) -> None:
    """Make the database, once for all of these peers."""
    if (folder / _CREDENTIALS).exists():
        return
    (folder / _CREDENTIALS).write_text(_run("prepare", folder))


def _run(what: str, folder: Path) -> str:
    """Do a part of `prepare.py`; return what it wrote."""
    environment = {**os.environ, **OURS.environment, **_SETTINGS}
    environment = {
        name: text.replace("{folder}", str(folder)) for name, text in environment.items()
    }
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.signed_in.prepare", what, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise Unavailable(f"its database can't be made: {made.stderr.strip()[-300:]}")
    return made.stdout


def _made(folder: Path, name: str) -> Any:
    return json.loads((folder / _CREDENTIALS).read_text())[name]


def _with_room_token(folder: Path, port: int) -> Greeting:
    path = f"/ws/?room={ROOM}~{_made(folder, 'token')}"
    return Greeting(path=path, steps=(Step(expect='{"id":0,"subscribed":[{"room":"benchmark","o'),))


def _with_session(folder: Path, port: int) -> Greeting:
    greeting = replace(_with_room_token(folder, port), path=f"/ws/?room={ROOM}")
    return replace(greeting, cookies=tuple(_made(folder, "cookies")))


def _stock_with_session(folder: Path, port: int) -> Greeting:
    return replace(STOCK.greeting, cookies=tuple(_made(folder, "cookies")))


def _connecting(by: str, credential: str) -> Greeting:
    """Return the greeting of a client that signs in first, and subscribes then."""
    connect = json.dumps({"id": 1, "connect": {by: credential}})
    subscribe = json.dumps({"id": 2, "subscribe": {"room": ROOM}})
    return Greeting(
        path="/ws/",
        openings=(connect,),
        steps=(
            Step(expect='{"id":1,"connected":', reply=subscribe),
            Step(expect='{"id":2,"subscribed":'),
        ),
    )


def _issued(folder: Path, name: str) -> str:
    """Return a token that was issued after the worker has begun, by any clock."""
    time.sleep(LOG_AGE)
    text: str = json.loads(_run("issue", folder))[name]
    return text


def _with_user_token(folder: Path, port: int) -> Greeting:
    return _connecting("token", _issued(folder, "user_token"))


def _with_jwt(folder: Path, port: int) -> Greeting:
    return _connecting("token", _issued(folder, "jwt"))


def _with_note(folder: Path, port: int) -> Greeting:
    """Be a client that was here before: of the user's token, which all may bring."""
    origin: Any = f"http://127.0.0.1:{port}"
    with connect(f"ws://127.0.0.1:{port}/ws/", origin=origin, proxy=None) as client:
        client.send(json.dumps({"id": 1, "connect": {"token": _issued(folder, "user_token")}}))
        client.recv()
        client.send(json.dumps({"id": 2, "subscribe": {"room": ROOM}}))
        client.recv()
        client.send(json.dumps({"id": 3, "note": {}}))
        note = json.loads(client.recv())["note"]["note"]
    greeting = _connecting("note", note)
    first, last = greeting.steps
    resumed = replace(first, contains='"resumed":true')
    return replace(greeting, steps=(resumed, last))


SIGNED_ROOM = replace(
    OURS,
    name="signed",
    title="Shardlayer, signed room",
    what="The same with the default rules; a signature in the URL opens the room.",
    environment={**OURS.environment, **_SETTINGS},
    build=_prepare,
    introduce=_with_room_token,
)
SESSION = replace(
    SIGNED_ROOM,
    name="session",
    title="Shardlayer, session",
    what="The same; Django's session on SQLite says who the client is.",
    introduce=_with_session,
)
STOCK_SESSION = replace(
    STOCK,
    name="stocksession",
    title="Channels, session",
    what="The stock peer behind AuthMiddlewareStack, on SQLite, and AllowedHostsOriginValidator.",
    command=(*STOCK.command[:-1], "benchmarks.peers.signed_in.app:application"),
    environment={
        **OURS.environment,
        **_SETTINGS,
        "DJANGO_SETTINGS_MODULE": "benchmarks.peers.signed_in.stock_settings",
    },
    build=_prepare,
    introduce=_stock_with_session,
)
TOKEN = replace(
    SIGNED_ROOM,
    name="token",
    title="Shardlayer, token",
    what="The same; a token of the site says who the client is, in a command before subscribing.",
    environment={**SIGNED_ROOM.environment, **_ONE_USER},
    introduce=_with_user_token,
)
JWT = replace(
    TOKEN,
    name="jwt",
    title="Shardlayer, JWT",
    what="The same; a JWT by RS256 says who the client is.",
    introduce=_with_jwt,
)
NOTE = replace(
    TOKEN,
    name="note",
    title="Shardlayer, note",
    what="The same; a client that was there before comes back with its note.",
    introduce=_with_note,
)
