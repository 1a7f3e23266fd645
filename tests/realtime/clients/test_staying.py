"""Who wants to stay in rooms, or to get into them again, after it was taken back."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.test import Client as Browser
from pytest_django import Settings

from realtime.clients.session import ClientSession
from realtime.clients.sign_in_watch import watch_of
from realtime.connections import aunsubscribe
from realtime.people.asking import apresence_stats
from realtime.room_tokens import sign_room
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer
from tests.realtime.client import Client
from tests.realtime.clients.test_sign_in import (
    closing,
    comes_back,
    cookie,
    note_of,
    past_the_skew,
    until,
)
from tests.realtime.users import end_queries
from tests.waiting import PATIENCE

pytestmark = pytest.mark.slow

HERE = __name__
RULES: dict[str, Any] = {
    "ROOMS": {
        "free": {"subscribe": "signed_in"},
        "staff": {"subscribe": "staff"},
        "slow": {"subscribe": f"{HERE}.slowly"},
        "*": {"subscribe": f"{HERE}.may"},
    },
    "RULE_MAX_AGE": 0,
}

lets_in = True
waits = asyncio.Event()
goes_on = asyncio.Event()


async def may(user: Any, room: str, claims: object) -> bool:
    return lets_in


async def slowly(user: Any, room: str, claims: object) -> bool:
    answer = lets_in
    waits.set()
    await goes_on.wait()
    return answer


async def slow_info(user: Any, room: str, claims: object) -> None:
    waits.set()
    await goes_on.wait()


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[User]:
    global lets_in, waits, goes_on
    lets_in, waits, goes_on = True, asyncio.Event(), asyncio.Event()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.REALTIME = RULES
    yield User.objects.create_user("ada", password="x")
    end_queries()


async def test_who_is_found_to_be_gone_is_closed(
    ada: User, memory_layer: ShardedChannelLayer
) -> None:
    """A user who was deactivated without a signal, once a rule reads them.

    As nobody's the connection would stay in its rooms, and no `disconnect` would reach it.
    """
    node = await memory_layer.node()
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})  # so that the log is read
        await past_the_skew()
    async with Client() as client:
        answer = await client.ask(1, connect={"token": issue_token(ada)})
        own = answer["connected"]["room"]
        await client.ask(2, subscribe=[{"room": "free"}, {"room": own}])
        await User.objects.filter(pk=ada.pk).aupdate(is_active=False)
        await client.send(3, subscribe={"room": "staff"})
        assert await asyncio.wait_for(closing(client), PATIENCE) == 4002
    assert node.members("free") == node.members(own) == 0


@pytest.mark.parametrize("how", ["renew", "recheck"])
async def test_rooms_of_a_note_are_looked_at(ada: User, settings: Settings, how: str) -> None:
    """A note saves asking once; it does not put off asking when members are looked at."""
    global lets_in
    settings.REALTIME = RULES | {"SESSION_RECHECK": 4 if how == "recheck" else 0}
    headers = await cookie(ada) if how == "recheck" else {}
    async with Client(headers=headers) as client:
        await past_the_skew()
        await client.ask(1, connect={"token": issue_token(ada)} if how == "renew" else {})
        assert "subscribed" in await client.ask(2, subscribe={"room": "orders"})
        note = await note_of(client)
    async with Client(headers=headers) as client:
        assert (await client.ask(1, connect={"note": note}))["connected"]["resumed"]
        assert "subscribed" in await client.ask(2, subscribe={"room": "orders"})
        lets_in = False
        if how == "renew":
            await client.send(3, connect={"token": issue_token(ada)})
        told = await asyncio.wait_for(client.receive(), PATIENCE)
        assert told == {"room": "orders", "unsubscribed": {"code": "forbidden"}}


async def test_note_of_a_rooms_token_puts_off_no_look(ada: User, settings: Settings) -> None:
    """Who is signed in by a session, and brings one, has the session read as before."""
    settings.REALTIME = RULES | {"SESSION_RECHECK": 4}
    headers = await cookie(ada)
    key = headers["Cookie"].rpartition("=")[2]
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})  # so that the log is read
        await past_the_skew()
    token = sign_room("orders", ada, session_key=key)
    async with Client(headers=headers) as client:
        await client.ask(1, subscribe={"room": "orders", "token": token})
        note = await note_of(client)
    async with Client(headers=headers) as client:
        await client.ask(1, subscribe={"room": "free"})
        assert (await client.ask(2, connect={"note": note}))["connected"]["resumed"]
        await Session.objects.all().adelete()
        assert await asyncio.wait_for(closing(client), PATIENCE) == 4002


@pytest.mark.parametrize("returns", [False, True])
async def test_session_of_a_rooms_token_is_looked_at(
    ada: User, settings: Settings, returns: bool
) -> None:
    """Nobody had to look at it when its client came, or came back: if it is gone, it is noticed."""
    settings.REALTIME = RULES | {"SESSION_RECHECK": 1}
    headers = await cookie(ada)
    key = headers["Cookie"].rpartition("=")[2]
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})  # so that the log is read
        await past_the_skew()
    item = {"room": "orders", "token": sign_room("orders", ada, session_key=key)}
    async with Client(headers=headers) as client:
        assert "subscribed" in await client.ask(1, subscribe=item)
        if not returns:
            await asyncio.sleep(2)  # a look or two: it stands
            assert "pong" in await client.ask(2, ping={})
            await Session.objects.all().adelete()
            assert await asyncio.wait_for(closing(client), PATIENCE) == 4002
            return
        note = await note_of(client)
    await Session.objects.all().adelete()
    async with asyncio.timeout(PATIENCE):
        while note := await comes_back(headers, note):
            pass


async def test_token_opens_a_room_after_a_look(
    ada: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a room's own token has opened stays open, also to who came back with a note."""
    global lets_in
    settings.REALTIME = RULES | {"SESSION_RECHECK": 4}
    look_at_room, looks = ClientSession.look_at_room, 0

    async def counted(self: ClientSession, room: str) -> None:
        nonlocal looks
        await look_at_room(self, room)
        looks += 1

    monkeypatch.setattr(ClientSession, "look_at_room", counted)
    headers, lets_in = await cookie(ada), False
    async with Client(headers=headers) as client:
        await past_the_skew()
        await client.ask(1, connect={})
        token = sign_room("orders")
        assert "subscribed" in await client.ask(2, subscribe={"room": "orders", "token": token})
        note = await note_of(client)
    async with Client(headers=headers) as client:
        assert (await client.ask(1, connect={"note": note}))["connected"]["resumed"]
        assert "subscribed" in await client.ask(2, subscribe=[{"room": "orders"}])
        looks = 0
        await until(lambda: looks > 0)
        assert "unsubscribed" in await client.ask(3, unsubscribe={"room": "orders"})


async def test_put_out_while_a_rule_is_asked(ada: User, memory_layer: ShardedChannelLayer) -> None:
    """What the rule saw may be of before: it is asked again."""
    global lets_in
    node = await memory_layer.node()
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})
        await client.send(2, subscribe={"room": "slow"})
        await waits.wait()
        lets_in = False
        await put_out_of(ada, "slow", memory_layer)
        goes_on.set()
        assert (await client.receive())["error"]["code"] == "forbidden"
        assert node.members("slow") == 0


async def test_put_out_while_the_session_is_read(
    ada: User, memory_layer: ShardedChannelLayer
) -> None:
    """A room's token of before opens it no more, also where its bearer was not known yet."""
    global lets_in
    lets_in = False
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})  # so that the log is read
    token, headers = sign_room("orders", ada), await cookie(ada)
    is_free = threading.Event()
    async with Client(headers=headers) as client:
        busy = asyncio.create_task(database_sync_to_async(is_free.wait)())
        try:
            await client.send(2, subscribe={"room": "orders", "token": token})
            await put_out_of(ada, "orders", memory_layer)
        finally:
            is_free.set()
        await busy
        assert (await client.receive())["error"]["code"] == "bad_token"
    assert (await memory_layer.node()).members("orders") == 0


async def test_put_out_while_it_comes(
    ada: User, settings: Settings, memory_layer: ShardedChannelLayer
) -> None:
    """Who is put out in the midst of joining is told no more that it is in, and not seen there."""
    settings.REALTIME = RULES | {
        "ROOMS": {"*": {"subscribe": "anyone", "presence": "anyone"}},
        "PRESENCE_INFO": f"{HERE}.slow_info",
    }
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})
        await client.send(2, subscribe={"room": "orders"})
        await waits.wait()
        await put_out_of(ada, "orders", memory_layer)
        goes_on.set()
        assert "unsubscribed" in await client.receive()
        assert (await client.receive())["error"]["code"] == "forbidden"
        await until_nobody_is_in("orders")


async def put_out_of(user: User, room: str, layer: ShardedChannelLayer) -> None:
    """Put a user out of a room, and wait until this process has heard of it."""
    watch = watch_of(layer, await layer.node())
    version = watch.log.version
    await aunsubscribe(user, room)
    await until(lambda: watch.log.version > version)
    await asyncio.sleep(0.1)  # what the watch does about it


async def until_nobody_is_in(room: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while (await apresence_stats(room)).connections:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(0.05)


async def test_who_was_not_signed_in_is_not_told_of(
    ada: User, memory_layer: ShardedChannelLayer
) -> None:
    """Strangers could else fill the log, which forgets the oldest, by calling the logout view."""

    def sign_out(user: User | None) -> None:
        browser = Browser()
        if user is not None:
            browser.force_login(user)
        session = browser.session
        session["cart"] = [1]
        session.save()
        browser.logout()

    log = watch_of(memory_layer, await memory_layer.node()).log
    await log.settled(PATIENCE)
    for user in (None, None, ada):
        await database_sync_to_async(sign_out)(user)
    await until(lambda: len(log.known) > 0)
    await asyncio.sleep(0.3)
    assert len(log.known) == 1
