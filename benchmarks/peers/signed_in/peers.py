"""How the peers are started whose clients have to be let in."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.greeting import Greeting, Step
from benchmarks.peers.base import ROOM, Unavailable
from benchmarks.peers.ours.peer import OURS
from benchmarks.peers.stock.peer import STOCK

_SETTINGS = {
    "DJANGO_SETTINGS_MODULE": "benchmarks.peers.signed_in.settings",
    "DATABASE_URL": "sqlite:///{folder}/signed-in.sqlite3",
}
_CREDENTIALS = "signed-in.json"


def _prepare(folder: Path) -> None:
    """Make the database, once for all of these peers."""
    if (folder / _CREDENTIALS).exists():
        return
    environment = {**os.environ, **OURS.environment, **_SETTINGS}
    environment = {
        name: text.replace("{folder}", str(folder)) for name, text in environment.items()
    }
    made = subprocess.run(
        [sys.executable, "-m", "benchmarks.peers.signed_in.prepare"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        raise Unavailable(f"its database can't be made: {made.stderr.strip()[-300:]}")
    (folder / _CREDENTIALS).write_text(made.stdout)


def _made(folder: Path, name: str) -> Any:
    return json.loads((folder / _CREDENTIALS).read_text())[name]


def _with_token(folder: Path) -> Greeting:
    path = f"/ws/?room={ROOM}~{_made(folder, 'token')}"
    return Greeting(path=path, steps=(Step(expect='{"id":0,"subscribed":[{"room":"benchmark","o'),))


def _with_session(folder: Path) -> Greeting:
    greeting = replace(_with_token(folder), path=f"/ws/?room={ROOM}")
    return replace(greeting, cookies=tuple(_made(folder, "cookies")))


def _stock_with_session(folder: Path) -> Greeting:
    return replace(STOCK.greeting, cookies=tuple(_made(folder, "cookies")))


SIGNED_ROOM = replace(
    OURS,
    name="signed",
    title="Shardlayer, signed room",
    what="The same with the default rules; a signature in the URL opens the room.",
    environment={**OURS.environment, **_SETTINGS},
    build=_prepare,
    introduce=_with_token,
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
