"""The Python client on a real worker, which is killed and started again."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from demo.embedded import EmbeddedValkey, free_port
from shardlayer.client import BEGINNING, RoomClient, RoomClientError, RoomGap, RoomSubscription
from tests.shardlayer.client.client_site import PATIENCE, USER, ClientSite
from tests.waiting import until

pytestmark = pytest.mark.timeout(240)


@pytest.fixture
def site(redis_server: EmbeddedValkey, tmp_path: Path) -> Iterator[ClientSite]:
    """A running worker."""
    made = ClientSite(redis_server.url, tmp_path)
    made.start()
    yield made
    made.stop()


async def take(subscription: RoomSubscription, number: int) -> list[Any]:
    """Return the data of the next messages."""
    async with asyncio.timeout(PATIENCE):
        return [(await anext(subscription)).data for _ in range(number)]


async def test_follows_rooms_publishes_and_asks(site: ClientSite) -> None:
    """Each room's loop gets its own; history, presence and announcements are there."""
    heard: list[Any] = []
    async with site.client(on_announcement=heard.append) as client:
        async with client.subscribe("a") as a, client.subscribe("cursor.b") as b:
            await asyncio.gather(a.joined(), b.joined())
            first = await client.publish("a", {"n": 1})
            assert first is not None
            assert await client.publish("a", {"n": 1}, key="again") != first
            again = await client.publish("a", {"n": 1}, key="again")
            assert again is not None
            assert again.offset == 2
            assert await client.publish("cursor.b", "x") is None
            message = await anext(a)
            assert (message.room, message.data, message.offset) == ("a", {"n": 1}, 1)
            assert not message.replayed
            assert a.position == first
            assert await take(a, 1) == [{"n": 1}]
            assert [m.offset async for m in first_of(b)] == [None]
            with pytest.raises(ValueError, match="follows a already"):
                client.subscribe("a")
            messages, position = await client.history("a", limit=1)
            assert [m.offset for m in messages] == [2]
            assert position == a.position
            await until(lambda: people_in(client, "a"))
            await asyncio.to_thread(site.manage, "realtime", "announce", '"hello"')
            await until(lambda: heard == ["hello"])
        with pytest.raises(StopAsyncIteration):
            await anext(a)
        async with client.subscribe("a", since=BEGINNING) as all_of_it:
            assert await take(all_of_it, 2) == [{"n": 1}] * 2


async def people_in(client: RoomClient, room: str) -> bool:
    """Say whether one is there."""
    return bool((await client.presence(room))["people"] == 1)


async def first_of(subscription: RoomSubscription) -> Any:
    """Yield one message."""
    async for message in subscription:
        yield message
        return


async def test_nothing_is_lost_and_nothing_comes_twice_when_the_worker_is_killed(
    site: ClientSite,
) -> None:
    """Two kills amid publications, which are sent again until they are taken."""
    total = 120
    got: dict[str, list[int]] = {"a": [], "b": []}
    gaps: list[RoomGap] = []

    async def follow(subscription: RoomSubscription) -> None:
        async for message in subscription:
            got[subscription.room].append(message.data)
            if len(got[subscription.room]) == total:
                return

    async with site.client() as listener, site.client() as publisher:
        rooms = [listener.subscribe(name, on_gap=gaps.append) for name in got]
        await asyncio.gather(*(room.joined() for room in rooms))
        following = [asyncio.create_task(follow(room)) for room in rooms]
        for number in range(total):
            if number == 40:  # by another process, while nobody is connected
                await asyncio.to_thread(site.kill)
                await asyncio.to_thread(site.manage, "realtime", "publish", "a", "40")
                await asyncio.to_thread(site.start)
            elif number == 80:
                # One is on its way while the worker dies.
                sent = asyncio.create_task(publisher.publish("a", number, retry_for=120))
                await asyncio.to_thread(site.kill)
                await asyncio.to_thread(site.start)
                await sent
            else:
                await publisher.publish("a", number, retry_for=120)
            await publisher.publish("b", number, retry_for=120)
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*following)
    assert got == {"a": list(range(total)), "b": list(range(total))}
    assert gaps == []


async def test_a_history_that_no_longer_reaches_is_told_as_a_gap(site: ClientSite) -> None:
    """In its place in the loop, with the number of what is missing; the loop goes on behind it."""
    gaps: list[RoomGap] = []
    async with site.client() as client:
        async with client.subscribe("small.a") as room:
            await room.joined()
            await client.publish("small.a", 0)
            assert await take(room, 1) == [0]
            since = room.position
        for number in range(1, 401):
            await client.publish("small.a", number)
        async with client.subscribe("small.a", since=since, on_gap=gaps.append) as room:
            await room.joined()
            await client.publish("small.a", "after")
            got: list[Any] = []
            while "after" not in got:
                got += await take(room, 1)
    [gap] = gaps
    assert gap.since == since
    assert gap.missed
    assert got == [*range(gap.missed + 1, 401), "after"]


async def test_a_room_without_history_has_a_gap_after_a_lost_connection(site: ClientSite) -> None:
    """Nobody can know what was missed there."""
    gaps: list[RoomGap] = []
    async with site.client() as client, client.subscribe("cursor.a", on_gap=gaps.append) as room:
        await room.joined()
        reading = asyncio.create_task(take(room, 1))
        await asyncio.to_thread(site.kill)
        await asyncio.to_thread(site.start)
        await until(lambda: gaps)
        await client.publish("cursor.a", "after")
        assert await reading == ["after"]
    assert gaps == [RoomGap(room="cursor.a", since=None, position=None, missed=None)]


async def test_a_slow_loop_catches_up_from_the_history(site: ClientSite) -> None:
    """Its queue stays small, others go on, and nothing is missed or doubled."""
    gaps: list[RoomGap] = []
    async with site.client() as client:
        slow = client.subscribe("a", max_waiting=5, on_gap=gaps.append)
        quick = client.subscribe("b", on_gap=gaps.append)
        await asyncio.gather(slow.joined(), quick.joined())
        for number in range(100):
            await client.publish("a", number)
        await client.publish("b", "done")
        assert await take(quick, 1) == ["done"]
        assert len(slow._waiting) == 5
        assert await take(slow, 100) == list(range(100))
        await client.publish("a", "next")
        assert await take(slow, 1) == ["next"]
    assert gaps == []


async def test_a_token_or_a_cookie_signs_in_and_a_wrong_token_is_refused(site: ClientSite) -> None:
    """A refused token ends the client with a clear error; a room that is refused only its loop."""
    await asyncio.to_thread(site.manage, "migrate", "--verbosity", "0")
    lines = await asyncio.to_thread(site.manage, "shell", "--verbosity", "0", "-c", USER)
    said = dict(line.split(" ", 1) for line in lines if line.startswith(("token ", "cookie ")))
    name, _, value = said["cookie"].partition("=")

    async def fetch() -> str:
        return said["token"]

    options: list[dict[str, Any]] = [
        {"token": said["token"]},
        {"token": fetch},
        {"cookies": {name: value}},
        {"headers": {"Cookie": said["cookie"]}},
    ]
    for signs_in in options:
        async with site.client(**signs_in) as client, client.subscribe("signed.a") as room:
            await room.joined()
            assert (await client.identity())["user"] == "ada"
    async with site.client(token=said["token"]) as client:
        closed, room = client.subscribe("closed.a"), client.subscribe("signed.a")
        with pytest.raises(RoomClientError, match="forbidden") as refused:
            await anext(closed)
        assert (refused.value.code, refused.value.room) == ("forbidden", "closed.a")
        await room.joined()
    async with site.client(token="wrong") as client:
        room = client.subscribe("a")
        with pytest.raises(RoomClientError) as refused:
            await anext(room)
        assert refused.value.code == "bad_token"
        with pytest.raises(RoomClientError, match="bad_token"):
            await client.publish("a", 1)
        with pytest.raises(RoomClientError, match="bad_token"):
            client.subscribe("b")
    async with site.client(origin="https://elsewhere.example") as client:
        with pytest.raises(RoomClientError, match="Origin"):
            await client.connected()


async def test_a_worker_that_is_stopped_in_order_says_when_to_come_back(
    site: ClientSite, caplog: pytest.LogCaptureFixture
) -> None:
    """The client waits as long as it says, and goes on where it was."""
    caplog.set_level("INFO", "shardlayer.client")
    async with site.client() as client, client.subscribe("a") as room:
        await room.joined()
        await client.publish("a", 1)
        await asyncio.to_thread(site.stop)
        await asyncio.to_thread(site.start)
        await client.publish("a", 2, retry_for=120)
        assert await take(room, 2) == [1, 2]
    assert "(1012)" in caplog.text


async def test_closing_ends_loops_and_what_waits(site: ClientSite) -> None:
    """No task is left, and a closed client says that it is."""
    before = asyncio.all_tasks()
    async with site.client() as client:
        room = client.subscribe("a")
        await room.joined()
        reading = asyncio.create_task(take(room, 1))
    with pytest.raises((StopAsyncIteration, RuntimeError)):
        await reading
    with pytest.raises(RoomClientError, match="closed"):
        await client.publish("a", 1)
    with pytest.raises(RoomClientError, match="closed"):
        client.subscribe("b")
    await until(lambda: asyncio.all_tasks() == before)


async def test_no_server_is_an_error_of_the_command() -> None:
    """A command does not wait for ever; too large a one is not sent."""
    async with RoomClient(
        f"ws://127.0.0.1:{free_port()}/ws/", timeout=0.2, connect_options={"proxy": None}
    ) as client:
        with pytest.raises(RoomClientError) as offline:
            await client.publish("a", 1)
    assert offline.value.code == "offline"
    with pytest.raises(ValueError, match="ws://"):
        RoomClient("http://example.org/ws/")


def test_needs_no_settings_of_django() -> None:
    """A program without a Django project imports it and makes a client."""
    program = (
        "from shardlayer.client import RoomClient; from django.conf import settings; "
        "RoomClient('ws://127.0.0.1/ws/'); assert not settings.configured"
    )
    subprocess.run([sys.executable, "-c", program], check=True, env={}, timeout=60)
