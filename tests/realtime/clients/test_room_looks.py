"""Members whose rules are slow, or never answer, when they are asked about again."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.contrib.sessions.models import Session
from pytest_django import Settings

from realtime.access.client_permissions import Permissions
from realtime.access.identity import Identity
from realtime.clients import room_looks
from realtime.clients.room_looks import RoomLooks, may_stay
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer, Tasks
from tests.realtime.client import Client
from tests.realtime.clients.test_sign_in import closing, cookie, note_of, past_the_skew
from tests.realtime.users import end_queries
from tests.waiting import PATIENCE, until

pytestmark = pytest.mark.slow

HERE = __name__
RULES: dict[str, Any] = {
    "ROOMS": {
        "free.*": {"subscribe": "signed_in"},
        "stuck.*": {"subscribe": f"{HERE}.may_be_stuck"},
        "cancelled.*": {"subscribe": f"{HERE}.may_be_cancelled"},
        "held.*": {"subscribe": f"{HERE}.may_be_held"},
        "thread": {"subscribe": f"{HERE}.is_stuck_in_a_thread"},
        "*": {"subscribe": f"{HERE}.may"},
    },
    "RULE_MAX_AGE": 0,
    "SESSION_RECHECK": 1,
    "MAX_CLIENT_NEW_ROOMS": 1000,
    "MAX_USER_CONNECTIONS": 0,
}

asked: list[str] = []
lets_in = True
is_stuck = False
holds = False
goes_on = asyncio.Event()
is_free = threading.Event()


async def may(user: Any, room: str, claims: object) -> bool:
    """Let everybody in for a while."""
    asked.append(room)
    return lets_in


async def may_be_stuck(user: Any, room: str, claims: object) -> bool:
    """Let everybody in, and at some time never answer again."""
    asked.append(room)
    if is_stuck:
        await asyncio.Event().wait()
    return True


async def may_be_cancelled(user: Any, room: str, claims: object) -> bool:
    """Let everybody in, and at some time wait for what somebody cancels."""
    asked.append(room)
    if is_stuck:
        raise asyncio.CancelledError
    return True


async def may_be_held(user: Any, room: str, claims: object) -> bool:
    """Answer at once, or when the test says so."""
    asked.append(room)
    if holds:
        await goes_on.wait()
    return lets_in


def is_stuck_in_a_thread(user: Any, room: str, claims: object) -> bool:
    """Keep Django's thread."""
    return is_free.wait()


@pytest.fixture
def ada(
    transactional_db: None, settings: Settings, memory_layer: ShardedChannelLayer
) -> Iterator[User]:
    """A user whose sessions are read each second."""
    global lets_in, is_stuck, holds, goes_on
    lets_in, is_stuck, holds, goes_on = True, False, False, asyncio.Event()
    asked.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
    settings.REALTIME = RULES
    yield User.objects.create_user("ada", password="x")
    end_queries()


async def join(client: Client, rooms: Sequence[str]) -> None:
    """Sign in by the session, and join rooms."""
    await client.ask(1, connect={})
    joined = await client.ask(2, subscribe=[{"room": room} for room in rooms])
    assert not any("error" in each for each in joined["subscribed"])


async def put_out_of(client: Client, most: int) -> set[str]:
    """Return the rooms that the client is told it was put out of, once there are so many."""
    rooms: set[str] = set()
    async with asyncio.timeout(PATIENCE):
        while len(rooms) < most:
            told = await client.receive()
            assert told["unsubscribed"] == {"code": "forbidden"}
            rooms.add(told["room"])
    return rooms


@pytest.mark.parametrize("kind", ["stuck", "cancelled"])
async def test_room_without_an_answer_holds_up_no_other(
    ada: User, memory_layer: ShardedChannelLayer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Whichever is asked about first: who may not stay leaves, and where nothing is known, stays.

    Each room without an answer is asked about again in the next look.
    """
    global lets_in, is_stuck
    monkeypatch.setattr(room_looks, "RULE_PATIENCE", 0.2)
    stuck, others = [f"{kind}.{n}" for n in range(5)], {f"orders.{n}" for n in range(5)}
    node = await memory_layer.node()
    async with Client(headers=await cookie(ada)) as client:
        await join(client, [*stuck, *others])
        is_stuck, lets_in = True, False
        assert await put_out_of(client, len(others)) == others
        asked.clear()
        await until(lambda: min(Counter(asked)[room] for room in stuck) >= 2)
        assert {node.members(room) for room in stuck} == {1}
        assert {node.members(room) for room in others} == {0}


async def test_all_rooms_are_asked_about(
    ada: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many turns they take: none is asked about twice before all were once."""
    monkeypatch.setattr(room_looks, "TURN", 0)
    rooms = [f"orders.{n}" for n in range(40)]
    async with Client(headers=await cookie(ada)) as client:
        await join(client, rooms)
        asked.clear()
        await until(lambda: len(asked) >= 2 * len(rooms))
    assert sorted(asked[: len(rooms)]) == sorted(asked[len(rooms) : 2 * len(rooms)])
    assert sorted(asked[: len(rooms)]) == sorted(rooms)


async def test_slow_client_holds_up_no_other(
    ada: User, monkeypatch: pytest.MonkeyPatch, memory_layer: ShardedChannelLayer
) -> None:
    """Also where only one is looked at at a time: its look goes on behind the other's."""
    global lets_in, is_stuck
    monkeypatch.setattr(room_looks, "MOST_AT_ONCE", 1)
    monkeypatch.setattr(room_looks, "RULE_PATIENCE", 0.1)
    monkeypatch.setattr(room_looks, "TURN", 0)
    stuck = [f"stuck.{n}" for n in range(40)]
    async with (
        Client(headers=await cookie(ada)) as slow,
        Client(headers=await cookie(ada)) as other,
    ):
        await join(slow, stuck)
        await join(other, ["orders"])
        asked.clear()
        is_stuck = True
        await until(lambda: "stuck.0" in asked or len(asked) > 3)
        lets_in = False
        assert await put_out_of(other, 1) == {"orders"}
        await until(lambda: set(asked) >= set(stuck))


async def test_several_clients_are_looked_at_side_by_side(ada: User) -> None:
    """One that waits for its rule does not hold up another, though its turn is not over."""
    global lets_in, is_stuck
    async with (
        Client(headers=await cookie(ada)) as slow,
        Client(headers=await cookie(ada)) as other,
    ):
        await join(slow, ["stuck.0"])
        await join(other, ["orders"])
        asked.clear()
        is_stuck = True
        await until(lambda: "stuck.0" in asked)
        lets_in = False
        assert await put_out_of(other, 1) == {"orders"}
        assert Counter(asked)["stuck.0"] == 1  # it is asked still


async def test_session_that_ends_in_the_midst_of_a_look(
    ada: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Is noticed: the look holds up no reading of the session."""
    global is_stuck
    monkeypatch.setattr(room_looks, "RULE_PATIENCE", 10 * PATIENCE)
    async with Client(headers=await cookie(ada)) as client:
        await join(client, ["stuck.0"])
        asked.clear()
        is_stuck = True
        await until(lambda: asked)
        await Session.objects.all().adelete()
        async with asyncio.timeout(PATIENCE):
            assert await closing(client) == 4002


async def test_note_in_the_midst_of_a_look(ada: User, settings: Settings) -> None:
    """What it says lets nobody stay: each room is asked about as long as the look lasts."""
    global holds, lets_in
    settings.REALTIME = RULES | {"SESSION_RECHECK": 4}  # a note of a session counts for 8 s
    rooms = {f"held.{n}" for n in range(5)}
    async with Client(headers=await cookie(ada)) as client:
        await past_the_skew()
        await join(client, sorted(rooms))
        asked.clear()
        holds = True
        await until(lambda: asked)
        note = await note_of(client)
        assert (await client.ask(3, connect={"note": note}))["connected"]["resumed"]
        lets_in = False
        goes_on.set()
        assert await put_out_of(client, len(rooms)) == rooms


@pytest.mark.parametrize("is_same", [True, False])
async def test_signing_in_with_a_rule_without_an_answer(
    ada: User,
    settings: Settings,
    memory_layer: ShardedChannelLayer,
    monkeypatch: pytest.MonkeyPatch,
    is_same: bool,
) -> None:
    """The command is answered. Who is another now leaves where nothing is known of them."""
    global is_stuck, lets_in
    settings.REALTIME = RULES | {"SESSION_RECHECK": 0}
    monkeypatch.setattr(room_looks, "RULE_PATIENCE", 0.2)
    eve = await User.objects.acreate(username="eve")
    stuck, others = {f"stuck.{n}" for n in range(3)}, {f"orders.{n}" for n in range(3)}
    node = await memory_layer.node()
    async with Client() as client:
        await client.ask(1, connect={"token": issue_token(ada)})
        await client.ask(2, subscribe=[{"room": room} for room in sorted(stuck | others)])
        is_stuck, lets_in = True, False
        await client.send(3, connect={"token": issue_token(ada if is_same else eve)})
        gone = others if is_same else others | stuck
        assert await put_out_of(client, len(gone)) == gone
        assert "connected" in await client.receive()
        assert {node.members(room) for room in stuck} == {int(is_same)}


@pytest.mark.parametrize("stays", [True, False])
async def test_rule_that_keeps_the_thread(
    ada: User, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """A plain function has its limit, too: the question ends, though the thread can't."""
    monkeypatch.setattr(room_looks, "RULE_PATIENCE", 0.2)
    is_free.clear()
    permissions = Permissions(Identity({"headers": [], "user": AnonymousUser()}))
    try:
        async with asyncio.timeout(PATIENCE):
            assert await may_stay(permissions, "thread", stays_on_error=stays) is stays
    finally:
        is_free.set()


class Counted:
    """A client with rooms, which counts those who are looked at while it is."""

    under_way = 0
    most = 0

    def __init__(self, *rooms: str, looked_at: list[str]) -> None:
        self._rooms = rooms
        self._looked_at = looked_at

    def rooms_with_rules(self) -> Sequence[str]:
        return self._rooms

    async def look_at_room(self, room: str) -> None:
        Counted.under_way += 1
        Counted.most = max(Counted.most, Counted.under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        Counted.under_way -= 1
        self._looked_at.append(room)


async def test_so_many_are_looked_at_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And no more; a client whose look is not over has no second one."""
    monkeypatch.setattr(room_looks, "MOST_AT_ONCE", 3)
    Counted.under_way = Counted.most = 0
    tasks, looked_at = Tasks(), []  # type: ignore[var-annotated]
    looks = RoomLooks(tasks)
    clients = [Counted(f"{n}.a", f"{n}.b", looked_at=looked_at) for n in range(20)]
    for client in clients * 2:
        looks.begin(client)
    await until(lambda: len(looked_at) >= 40)
    assert sorted(looked_at) == sorted(f"{n}.{room}" for n in range(20) for room in "ab")
    assert Counted.most == 3
    await until(lambda: not tasks._running)  # nobody is at work where nothing is to do
    looks.begin(clients[0])
    await until(lambda: len(looked_at) == 42)
    await tasks.aclose()
