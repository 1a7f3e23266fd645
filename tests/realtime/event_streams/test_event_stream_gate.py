"""Streams of events: what they carry, whom they let in, and how they end."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.models import User
from pytest_django import Settings

from realtime import aannounce, apublish
from realtime.clients.client_counters import counters
from realtime.event_streams import event_stream_sink
from realtime.event_streams.event_stream_sink import RETRY, RETRY_LATER
from realtime.event_streams.open_streams import streams_of
from realtime.room_tokens import sign_room
from realtime.tokens import issue_token
from shardlayer import ShardedChannelLayer
from tests.realtime.event_streams.stream import Event, Stream
from tests.waiting import until


async def joined(stream: Stream) -> Event:
    """Return the first answer."""
    event = await stream.message()
    assert event.data["id"] == 0, event
    return event


async def fall_behind(stream: Stream) -> None:
    """Read no more, and have 32 KB published to the stream's room, a."""
    stream.reads.clear()
    for number in range(8):
        await apublish("a", f"{number}" * 4_000)


class TestRooms:
    """What comes."""

    async def test_pushes_come_with_the_place_of_all_rooms(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """First the answer for the rooms; each id is enough to go on from."""
        before = await apublish("a", 1)
        assert before is not None
        async with Stream("room=a&room=b") as stream:
            first = await stream.event()
            assert first.retry is not None
            assert RETRY[0] <= first.retry <= RETRY[1]
            answer = await joined(stream)
            rooms = answer.data["subscribed"]
            assert [room["room"] for room in rooms] == ["a", "b"]
            epochs = [room["epoch"] for room in rooms]
            assert answer.id == f"1.{epochs[0]},0.{epochs[1]}"
            await apublish("b", {"x": "\n"})
            event = await stream.message()
            assert event.data == {"room": "b", "offset": 1, "data": {"x": "\n"}}
            assert event.id == f"1.{epochs[0]},1.{epochs[1]}"
            await aannounce("all")
            assert await stream.message() == Event("message", {"announcement": "all"})
        assert stream.status == 200
        assert stream.headers["content-type"] == "text/event-stream"
        assert stream.headers["x-accel-buffering"] == "no"
        assert "access-control-allow-origin" not in stream.headers

    @pytest.mark.parametrize("how", ["header", "url"])
    async def test_it_goes_on_where_another_ended(
        self, memory_layer: ShardedChannelLayer, how: str
    ) -> None:
        """By Last-Event-ID, or as the URL says; what was missed is in the answer."""
        async with Stream("room=a&room=b") as stream:
            await joined(stream)
            await apublish("a", 1)
            last = (await stream.message()).id
            assert last is not None
        await apublish("a", 2)
        await apublish("b", 3)
        before = counters.streams_resumed
        query, headers = "room=a&room=b", {}
        if how == "header":
            query, headers = f"{query}&since=0.x,0.x", {"Last-Event-ID": last}
        else:
            query = f"{query}&since={last}"
        async with Stream(query, headers=headers) as stream:
            rooms = (await joined(stream)).data["subscribed"]
            assert [room["recovered"] for room in rooms] == [True, True]
            assert [[each["data"] for each in room["publications"]] for room in rooms] == [[2], [3]]
        assert counters.streams_resumed == before + 1

    async def test_a_page_that_does_not_fit_the_answer_follows(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """Each event of it has its id."""
        settings.REALTIME = settings.REALTIME | {"MAX_CLIENT_ANSWER": 100}
        for number in range(20):
            await apublish("a", f"{number:020}")
        async with Stream("room=a&since=0.") as stream:
            answer = await joined(stream)
            (room,) = answer.data["subscribed"]
            got = [each["data"] for each in room["publications"]]
            assert answer.id == f"{len(got)}.{room['epoch']}"
            while len(got) < 20:
                event = await stream.message()
                got.append(event.data["data"])
                assert event.id == f"{len(got)}.{room['epoch']}"
        assert got == [f"{number:020}" for number in range(20)]

    @pytest.fixture
    def forgetful(self, settings: Settings) -> None:
        """Rooms that keep no history."""
        rooms = {"*": {"subscribe": "anyone", "history": None}}
        settings.REALTIME = settings.REALTIME | {"ROOMS": rooms}

    async def test_a_room_without_history_has_no_place(
        self, forgetful: None, memory_layer: ShardedChannelLayer
    ) -> None:
        """Its events have no id."""
        async with Stream("room=a") as stream:
            assert (await joined(stream)).id == "-"
            await apublish("a", 1)
            assert await stream.message() == Event("message", {"room": "a", "data": 1})

    async def test_a_thousand_streams_share_one_text(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """A broadcast's lines are made once: each stream sends the same object."""
        from realtime.event_streams.event_stream_sink import EventStreamSink
        from shardlayer import Broadcast

        async def send(event: Any) -> None:
            await asyncio.sleep(0)

        sinks = [EventStreamSink(send, ["a"], limit=0) for _ in range(3)]
        broadcast = Broadcast([b'{"room":"a","offset":1,"data":1}'], [1])
        lines = {id(sink._texts_of(broadcast)[-1]) for sink in sinks}
        assert len(lines) == 1
        for sink in sinks:
            await sink.finish()


class TestWhoComesIn:
    """Rules, origins, and who is signed in."""

    @pytest.fixture
    def closed(self, settings: Settings) -> None:
        """Rooms for those who are signed in, and one for nobody."""
        settings.REALTIME = settings.REALTIME | {
            "ROOMS": {"secret": {"subscribe": "nobody"}, "*": {"subscribe": "signed_in"}}
        }

    async def test_rules_hold(self, memory_layer: ShardedChannelLayer, closed: None) -> None:
        """A refused room has its error in the answer."""
        async with Stream("room=a&room=no%20room") as stream:
            codes = [r["error"]["code"] for r in (await joined(stream)).data["subscribed"]]
        assert codes == ["forbidden", "bad_room"]

    async def test_a_rooms_token_opens_it(
        self, memory_layer: ShardedChannelLayer, closed: None
    ) -> None:
        """As in a WebSocket's URL."""
        async with Stream(f"room=secret~{sign_room('secret')}") as stream:
            answer = await joined(stream)
            assert "error" not in answer.data["subscribed"][0]
            await apublish("secret", 1)
            event = await stream.message()
            assert event.id is not None
            assert event.id.startswith("1.")

    @pytest.mark.django_db(transaction=True)
    async def test_a_token_signs_in(self, memory_layer: ShardedChannelLayer, closed: None) -> None:
        """In the Authorization header; one that does not count ends the stream."""
        user = await User.objects.acreate(username="ada")
        async with Stream(
            "room=a", headers={"Authorization": f"Bearer {issue_token(user)}"}
        ) as stream:
            assert "error" not in (await joined(stream)).data["subscribed"][0]
        async with Stream("room=a", headers={"Authorization": "Bearer x"}) as stream:
            assert (await stream.message()).data["error"]["code"] == "bad_token"
            last = await stream.message()
            assert (last.type, last.data["code"]) == ("close", 4001)
            await stream.ended()

    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Host": "evil.example"},  # a name that was bent to this machine
            {"Sec-Fetch-Site": "cross-site"},  # an image's address, say
            {"Sec-Fetch-Site": "same-site"},
        ],
    )
    async def test_other_sites_are_refused(
        self, memory_layer: ShardedChannelLayer, headers: dict[str, str]
    ) -> None:
        """With 403, and counted."""
        before = counters.origins_refused
        async with Stream("room=a", headers=headers) as stream:
            await stream.ended()
        assert stream.status == 403
        assert counters.origins_refused == before + 1

    async def test_a_site_that_is_trusted_may_read(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """With the headers of CORS, also when a browser asks first."""
        origin = "https://shop.example"
        settings.REALTIME = settings.REALTIME | {"ORIGINS": [origin]}
        headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
        async with Stream("room=a", headers=headers) as stream:
            await joined(stream)
        assert stream.headers["access-control-allow-origin"] == origin
        assert stream.headers["access-control-allow-credentials"] == "true"
        async with Stream(method="OPTIONS", headers=headers) as stream:
            await stream.ended()
        assert stream.status == 204
        assert "Authorization" in stream.headers["access-control-allow-headers"]

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
    async def test_other_methods(
        self, memory_layer: ShardedChannelLayer, method: str, status: int
    ) -> None:
        """A stream is read, and nothing else."""
        async with Stream("room=a", method=method) as stream:
            await stream.ended()
        assert stream.status == status


class TestLimits:
    """What a stream may have, and how it ends."""

    @pytest.fixture
    def hasty(self, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> None:
        """A server that soon gives up who does not read, and keeps little for anybody."""
        monkeypatch.setattr(event_stream_sink, "FLUSH_TIMEOUT", 0.1)
        settings.REALTIME = settings.REALTIME | {"MAX_CLIENT_BUFFER": 10_000}

    async def test_there_are_only_so_many(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """MAX_EVENT_STREAMS: who is one too many comes back later."""
        settings.REALTIME = settings.REALTIME | {"MAX_EVENT_STREAMS": 1}
        before = counters.streams_full
        async with Stream("room=a") as first:
            await joined(first)
            assert counters.streams_open == 1
            async with Stream("room=a") as second:
                last = await second.message()
                await second.ended()
        assert second.status == 200
        assert (last.type, last.data["code"]) == ("close", 1013)
        assert last.retry is not None
        assert RETRY_LATER[0] <= last.retry <= RETRY_LATER[1]
        assert counters.streams_full == before + 1
        assert counters.streams_open == 0

    async def test_an_address_has_only_so_many(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """MAX_ADDRESS_STREAMS: one that ends gives its place back; others have their own."""
        settings.REALTIME = settings.REALTIME | {"MAX_ADDRESS_STREAMS": 1}
        before = counters.streams_full
        one, other = ({"client": [address, 5]} for address in ("203.0.113.1", "203.0.113.2"))
        async with Stream("room=a", more=one) as first:
            await joined(first)
            async with Stream("room=a", more=one) as second:
                last = await second.message()
                await second.ended()
            async with Stream("room=a", more=other) as third:
                await joined(third)
        assert (last.type, last.data["code"]) == ("close", 1013)
        assert last.retry is not None
        assert RETRY_LATER[0] <= last.retry <= RETRY_LATER[1]
        async with Stream("room=a", more=one) as next_one:
            await joined(next_one)
        assert counters.streams_full == before + 1

    @pytest.mark.parametrize("client", [None, ["127.0.0.1", 5], ["203.0.113.1", 5]])
    async def test_who_counts_for_no_address(
        self, memory_layer: ShardedChannelLayer, settings: Settings, client: list[Any] | None
    ) -> None:
        """A proxy on this machine that names nobody; and nobody at all where 0 says so."""
        most = 0 if client == ["203.0.113.1", 5] else 1
        settings.REALTIME = settings.REALTIME | {"MAX_ADDRESS_STREAMS": most}
        more = {"client": client}
        async with Stream("room=a", more=more) as first, Stream("room=a", more=more) as second:
            await joined(first)
            await joined(second)

    @pytest.mark.django_db(transaction=True)
    async def test_a_users_connections_are_counted(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """MAX_USER_CONNECTIONS counts streams as well."""
        settings.REALTIME = settings.REALTIME | {"MAX_USER_CONNECTIONS": 1}
        user = await User.objects.acreate(username="ada")
        headers = {"Authorization": f"Bearer {issue_token(user)}"}
        rule = {"*": {"subscribe": "signed_in"}}
        settings.REALTIME = settings.REALTIME | {"ROOMS": rule}
        async with Stream("room=a", headers=headers) as first:
            await joined(first)
            async with Stream("room=a", headers=headers) as second:
                event = await second.message()
                while event.type != "close":
                    event = await second.message()
        assert event.data["code"] == 4012

    async def test_rooms_are_counted(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """As of any client."""
        settings.REALTIME = settings.REALTIME | {"MAX_ROOMS_PER_CLIENT": 1}
        async with Stream("room=a&room=b") as stream:
            rooms = (await joined(stream)).data["subscribed"]
        assert rooms[1]["error"]["code"] == "limit"

    async def test_who_does_not_read_is_closed(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """Past MAX_CLIENT_BUFFER, with 4008; the stream before it is whole."""
        settings.REALTIME = settings.REALTIME | {"MAX_CLIENT_BUFFER": 10_000}
        before = counters.slow_closed
        async with Stream("room=a") as stream:
            await joined(stream)
            await fall_behind(stream)
            await until(lambda: counters.slow_closed > before)
            stream.reads.set()
            event = await stream.message()
            while event.type != "close":
                event = await stream.message()
            assert event.data["code"] == 4008
            await stream.ended()

    @pytest.mark.parametrize("reads", [True, False], ids=["reads again", "leaves"])
    async def test_who_does_not_read_keeps_its_place_alone(
        self, hasty: None, memory_layer: ShardedChannelLayer, reads: bool
    ) -> None:
        """It is out of its rooms. A server that says no pace has what was sent, until it reads."""
        node = await memory_layer.node()
        async with Stream("room=a") as stream:
            await joined(stream)
            await fall_behind(stream)
            await until(lambda: node.members("a") == 0 and len(streams_of(node)) == 0)
            assert (counters.streams_open, stream.is_over) == (1, False)
            if reads:
                stream.reads.set()
                assert (await stream.message()).data["code"] == 4008
            else:
                await stream.leave()
            await stream.ended()
            assert (counters.streams_open, stream.is_over) == (0, reads)

    async def test_a_server_that_cancels_is_not_held_up(
        self, hasty: None, memory_layer: ShardedChannelLayer
    ) -> None:
        """By a client that does not read."""
        node = await memory_layer.node()
        async with Stream("room=a") as stream:
            await joined(stream)
            await fall_behind(stream)
            await until(lambda: node.members("a") == 0 and len(streams_of(node)) == 0)
            await stream.cancel()
            assert counters.streams_open == 0

    async def test_a_pace_cuts_off_who_never_reads(
        self, hasty: None, memory_layer: ShardedChannelLayer
    ) -> None:
        """The stream ends without its last event, though nobody takes what was sent before."""
        aborted = []

        async def drained() -> None:
            await asyncio.sleep(0)

        pace = SimpleNamespace(wait_drained=drained, abort=lambda: aborted.append(True))
        node = await memory_layer.node()
        async with Stream("room=a", more={"extensions": {"shardlayer": {"pace": pace}}}) as stream:
            await joined(stream)
            await fall_behind(stream)
            await stream.ended()
            assert (stream.is_over, aborted) == (False, [True])
            assert (node.members("a"), counters.streams_open) == (0, 0)

    async def test_a_room_that_is_full_is_asked_for_again(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """The stream ends, so that the browser comes back for it."""
        settings.REALTIME = settings.REALTIME | {"MAX_ROOM_MEMBERS": 1}
        async with Stream("room=a") as first:
            await joined(first)
            async with Stream("room=a") as second:
                assert (await joined(second)).data["subscribed"][0]["error"]["code"] == "full"
                last = await second.message()
                await second.ended()
        assert (last.type, last.data["code"]) == ("close", 1013)

    async def test_it_says_that_it_lives(
        self, memory_layer: ShardedChannelLayer, settings: Settings
    ) -> None:
        """By a comment after each EVENT_STREAM_COMMENT."""
        settings.REALTIME = settings.REALTIME | {"EVENT_STREAM_COMMENT": 0.1}
        async with Stream("room=a") as stream:
            await joined(stream)
            for _ in range(3):
                assert (await stream.event()).type == ":"

    async def test_a_client_that_leaves_leaves_nothing(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """Neither a member nor a stream."""
        node = await memory_layer.node()
        async with Stream("room=a") as stream:
            await joined(stream)
            assert (node.members("a"), len(streams_of(node))) == (1, 1)
        assert (node.members("a"), len(streams_of(node))) == (0, 0)

    @pytest.mark.parametrize(
        ("is_draining", "is_full", "code"), [(True, False, 1012), (False, True, 1013)]
    )
    async def test_a_worker_that_takes_no_websocket_takes_no_stream(
        self, memory_layer: ShardedChannelLayer, is_draining: bool, is_full: bool, code: int
    ) -> None:
        """Whoever comes to a worker that stops, or is full, is sent on at once."""
        worker = SimpleNamespace(is_draining=is_draining, is_full=is_full)
        more = {"extensions": {"shardlayer": {"worker": worker}}}
        async with Stream("room=a", more=more) as stream:
            last = await stream.message()
            await stream.ended()
        assert (last.type, last.data["code"]) == ("close", code)

    async def test_a_worker_that_begins_to_stop_ends_its_streams(
        self, memory_layer: ShardedChannelLayer
    ) -> None:
        """Our own server says so in the scope."""
        worker = SimpleNamespace(is_draining=False, is_full=False)
        more = {"extensions": {"shardlayer": {"worker": worker}}}
        async with Stream("room=a", more=more) as stream:
            await joined(stream)
            worker.is_draining = True
            assert (await stream.message()).data["code"] == 1012
            await stream.ended()

    async def test_the_server_sends_streams_away(self, memory_layer: ShardedChannelLayer) -> None:
        """Each with a time to come back of its own; who comes meanwhile is sent on at once."""
        node = await memory_layer.node()
        async with Stream("room=a") as first, Stream("room=a") as second, Stream("room=a") as third:
            for stream in (first, second, third):
                await joined(stream)
            streams_of(node).end()
            told = [await stream.message() for stream in (first, second, third)]
            async with Stream("room=a") as late:
                told.append(await late.message())
        assert [event.data["code"] for event in told] == [1012] * 4
        assert len({event.retry for event in told}) >= 3  # two may be the same by chance


async def test_everything_else_is_djangos(memory_layer: ShardedChannelLayer) -> None:
    """Other paths, and other protocols."""
    from realtime.event_streams.event_stream_gate import EventStreamGate

    passed = []

    async def django(scope: Any, receive: Any, send: Any) -> None:
        passed.append(scope["path"])

    gate = EventStreamGate(django)
    for path in ("/", "/sse/more", "/ssex/"):
        await gate({"type": "http", "path": path, "method": "GET"}, None, None)
    assert passed == ["/", "/sse/more", "/ssex/"]
