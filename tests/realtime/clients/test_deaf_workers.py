"""Notes of a worker that did not hear who was put out: they let nobody back in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime.access.revocation_log import RevocationLog
from realtime.access.revocations import CLOCK_SKEW
from realtime.clients.sign_in_watch import watch_of
from realtime.connections import adisconnect, aunsubscribe
from realtime.rooms.room_names import CONTROL_ROOM
from realtime.tokens import issue_token
from shardlayer import Broadcast, Node, ShardedChannelLayer
from tests.realtime.client import Client, RecordingSink
from tests.realtime.revocations import lets_count
from tests.realtime.users import cookie_of, end_queries
from tests.waiting import PATIENCE, until

HERE = __name__

asked: list[str] = []


async def signed_in(user: Any, room: str, claims: object) -> bool:
    """Let in who is signed in, as a rule that takes note of being asked."""
    asked.append(room)
    return bool(user.is_authenticated)


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[User]:
    """A user, whose password takes no time to hash, on a site whose rules note what they decide."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.REALTIME = {"ROOMS": {"*": {"subscribe": f"{HERE}.signed_in"}}}
    asked.clear()
    yield User.objects.create_user("ada", password="x")
    end_queries()


@pytest.fixture
async def node(memory_layer: ShardedChannelLayer) -> Node:
    """The worker's node."""
    return await memory_layer.node()


@pytest.fixture
async def log(memory_layer: ShardedChannelLayer, node: Node) -> RevocationLog:
    """The worker's log, which judges what is issued now."""
    log = watch_of(memory_layer, node).log
    await until(lambda: lets_count(log, "0"))
    return log


def deafen(node: Node, log: RevocationLog) -> None:
    """Have the worker hear nothing of the log."""
    node.leave(CONTROL_ROOM, log)


async def hear(log: RevocationLog, user: User) -> None:
    """Have the worker hear the log again, until what is issued now counts by its time."""
    before = log.version
    log.write(Broadcast([b'{"room":"realtime-control","reset":{"offset":0,"epoch":""}}']))
    await until(lambda: log.version > before)
    await until(lambda: lets_count(log, str(user.pk)))


async def note_of_later(client: Client) -> str:
    """Ask for a note when what was published before is past the difference of clocks."""
    published = time.time()
    await until(lambda: time.time() > published + CLOCK_SKEW)
    note: str = (await client.ask(90, note={}))["note"]["note"]
    return note


@pytest.mark.parametrize("by", ["session", "token"])
async def test_room_that_the_user_was_put_out_of(
    ada: User, node: Node, log: RevocationLog, by: str
) -> None:
    """The note says that the client is in the room: its rule is asked all the same."""
    cookie = await database_sync_to_async(cookie_of)(ada)
    headers = {"Cookie": cookie} if by == "session" else {}
    async with Client(headers=headers) as client:
        if by == "token":
            await client.ask(1, connect={"token": issue_token(ada)})
        await client.ask(2, subscribe=[{"room": "orders"}, {"room": "news"}])
        deafen(node, log)
        await aunsubscribe(ada, "orders")
        note = await note_of_later(client)
        await hear(log, ada)
        assert await client.receive() == {"room": "orders", "unsubscribed": {"code": "forbidden"}}
    asked.clear()
    async with Client(headers=headers) as client:
        assert (await client.ask(1, connect={"note": note}))["connected"]["resumed"]
        await client.ask(2, subscribe=[{"room": "orders"}, {"room": "news"}])
        assert asked == ["orders"]


@pytest.mark.parametrize("by", ["session", "token"])
async def test_who_was_signed_out(ada: User, node: Node, log: RevocationLog, by: str) -> None:
    """The note counts no more, though the worker took the client for the user when it wrote it."""
    cookie = await database_sync_to_async(cookie_of)(ada)
    headers = {"Cookie": cookie} if by == "session" else {}
    sink = RecordingSink()
    async with Client(headers=headers, sink=sink) as client:
        await client.ask(1, connect={"token": issue_token(ada)} if by == "token" else {})
        deafen(node, log)
        await adisconnect(ada)
        note = await note_of_later(client)
        await hear(log, ada)
        await asyncio.wait_for(sink.is_closed.wait(), PATIENCE)
    async with Client(headers=headers) as client:
        answer = (await client.ask(1, connect={"note": note}))["connected"]
        assert (answer["resumed"], answer["user"]) == (False, None)


async def test_worker_that_is_cut_off_goes_on_giving_notes(
    ada: User, node: Node, log: RevocationLog
) -> None:
    """Who was not put out meanwhile comes back by them: nobody is asked who it is."""
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})
        await client.ask(2, subscribe={"room": "orders"})
        deafen(node, log)
        await adisconnect(ada.pk + 1)
        note = await note_of_later(client)
        await hear(log, ada)
    asked.clear()
    async with Client() as client:
        assert (await client.ask(1, connect={"note": note}))["connected"]["resumed"]
        await client.ask(2, subscribe={"room": "orders"})
        assert asked == []
