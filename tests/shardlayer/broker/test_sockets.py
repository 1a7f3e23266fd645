"""What this package takes over from redis-py, and that it is still as it was read."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.sentinel import MasterNotFoundError
from redis.credentials import CredentialProvider
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK
from shardlayer.aio.time_slices import TURN
from shardlayer.broker.redis import sockets
from shardlayer.broker.redis.command_link import close
from shardlayer.broker.redis.exchange import Exchange
from shardlayer.broker.redis.sockets import Socket, open_connection, pack
from shardlayer.core.hosts import Host
from shardlayer.core.redis_clients import connect
from tests.contract.places import CALM, PRIMARY_NAME, EmbeddedSentinel, make_certificate
from tests.shardlayer.fakes import FakeClock, some_turns, stand_still
from tests.waiting import until

try:
    import uvloop
except ImportError:
    uvloop = None  # type: ignore[assignment]

TIMEOUT = 20.0  # seconds
STILL = 8.0  # seconds; half of it is a time limit, which a busy machine keeps
SILENCE = 20.0  # seconds; far more than twice what a busy machine holds the loop up

MakeLoop = Callable[[], asyncio.AbstractEventLoop]

LOOPS = [pytest.param(asyncio.new_event_loop, id="asyncio")]
if uvloop is not None:
    LOOPS.append(pytest.param(uvloop.new_event_loop, id="uvloop"))


class Answers(Socket):
    """Keeps what comes."""

    def __init__(self, connection: AbstractConnection) -> None:
        super().__init__(connection)
        self.answers: asyncio.Queue[Any] = asyncio.Queue()
        self.end: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def answered(self, answer: Any) -> None:
        self.answers.put_nowait(answer)

    def ended(self, error: Exception | None) -> None:
        self.end.set_result(error)


@pytest.fixture
async def redis(redis_server: EmbeddedValkey) -> AsyncIterator[Redis]:
    """A client of a running server."""
    client = connect(Host(url=redis_server.url), timeout=TIMEOUT)
    yield client
    await close(client)


@pytest.mark.parametrize(
    ("name", "kind"), [("_reader", asyncio.StreamReader), ("_writer", asyncio.StreamWriter)]
)
async def test_redis_py_keeps_its_streams_where_they_were_read(
    redis: Redis, name: str, kind: type
) -> None:
    """`AbstractConnection._reader` and `_writer`, in 8.1.0: asyncio's while it is connected."""
    connection: Any = await open_connection(redis)
    assert isinstance(getattr(connection, name, None), kind), (
        "redis-py has moved it: see shardlayer/broker/redis/sockets.py"
    )
    await connection.disconnect()
    assert getattr(connection, name) is None


async def test_answers_come_in_order_and_the_end_is_told_once(redis: Redis) -> None:
    """After the end nothing more is handed out, and closing again is no error."""
    taken = Answers(await open_connection(redis))
    taken.write(pack(("SET", "a", b"\x00")) + pack(("GET", "a")) + pack(("QUIT",)))
    async with asyncio.timeout(TIMEOUT):
        assert [await taken.answers.get() for _ in range(3)] == [b"OK", b"\x00", b"OK"]
        assert "closed by server" in str(await taken.end)
    assert taken.is_lost
    await taken.aclose()


async def told_of_the_end(taken: Answers, redis: Redis) -> str:
    """Return why a connection is said to have ended, "" if it is not; close it and its client."""
    await asyncio.wait([taken.end], timeout=TIMEOUT)
    told = str(taken.end.result()) if taken.end.done() else ""
    await taken.aclose()
    await close(redis)
    return told


@pytest.mark.parametrize("is_reset", [False, True])
@pytest.mark.parametrize("make_loop", LOOPS)
def test_end_that_redis_pys_streams_were_told_is_told(
    redis_server: EmbeddedValkey, make_loop: MakeLoop, is_reset: bool
) -> None:
    """asyncio tells a transport's protocol once; over TCP it leaves the transport open after it."""

    async def take_over() -> None:
        redis = connect(Host(url=redis_server.url), timeout=TIMEOUT)
        connection: Any = await open_connection(redis)
        reader = connection._reader
        if is_reset:
            connection._writer.transport.abort()
        else:
            await redis.client_kill_filter(_type="normal", skipme=True)
        await until(reader.at_eof, TIMEOUT)
        taken = Answers(connection)
        taken.write(pack(("PING",)))
        assert "the connection was lost" in await told_of_the_end(taken, redis)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(take_over())


class HandshakeServer:
    """Answers all that redis-py says of itself on a new connection, and ends it at once.

    Attributes:
        url: Where it listens.
        has_ended: Set when it has ended the connection.
    """

    def __init__(self) -> None:
        self.has_ended = threading.Event()
        self._listening = socket.create_server((LOOPBACK, 0))
        self.url = f"redis://{LOOPBACK}:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Listen no more."""
        self._thread.join()
        self._listening.close()

    def _serve(self) -> None:
        accepted, _ = self._listening.accept()
        with accepted:
            said = b""
            while b"LIB-VER" not in said and (data := accepted.recv(65_536)):
                said += data
                accepted.sendall(b"+OK\r\n" * data.count(b"*"))
        self.has_ended.set()


@pytest.mark.parametrize("make_loop", LOOPS)
@pytest.mark.parametrize("turns", range(1, 13))
def test_connection_that_ends_while_it_is_made_is_known_to_have_ended(
    make_loop: MakeLoop, turns: int
) -> None:
    """At whichever turn of the loop all of it comes: redis-py reads the answers, not the end."""

    async def open_and_take_over() -> None:
        redis = connect(Host(url=server.url), timeout=TIMEOUT)
        opening = asyncio.create_task(open_connection(redis))
        for _ in range(turns):
            await asyncio.sleep(0)
        server.has_ended.wait(TURN * 10)  # the loop stands still meanwhile
        try:
            taken = Answers(await opening)
        except RedisConnectionError:  # redis-py saw it
            await close(redis)
        else:
            assert await told_of_the_end(taken, redis)

    with closing(HandshakeServer()) as server, asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(open_and_take_over())


async def test_connection_cancelled_while_it_is_made_is_closed(redis: Redis) -> None:
    """At whichever turn of the loop the cancellation comes."""
    for turns in range(40):
        opening = asyncio.create_task(open_connection(redis))
        for _ in range(turns):
            await asyncio.sleep(0)
        opening.cancel()
        (result,) = await asyncio.gather(opening, return_exceptions=True)
        if isinstance(result, AbstractConnection):  # it was made before the cancellation came
            await result.disconnect()
        else:
            assert isinstance(result, asyncio.CancelledError)


class VanishingServer:
    """Ends its only connection at the first byte, and listens no more.

    Attributes:
        url: Where it listened.
    """

    def __init__(self) -> None:
        self._listening = socket.create_server((LOOPBACK, 0))
        self._address = self._listening.getsockname()
        self.url = f"redis://{LOOPBACK}:{self._address[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Return once it has gone, also where nobody has connected."""
        with suppress(OSError), socket.create_connection(self._address):
            pass
        self._thread.join()

    def _serve(self) -> None:
        with self._listening, self._listening.accept()[0] as accepted:
            accepted.recv(1)


@pytest.mark.parametrize("make_loop", LOOPS)
@pytest.mark.parametrize("turns", range(1, 17))
def test_cancellation_is_not_lost_where_the_server_ends_the_connection(
    make_loop: MakeLoop, turns: int
) -> None:
    """At whichever turn of the loop it comes: `wait_for` of Python 3.11 swallows some."""

    async def open_and_cancel() -> None:
        redis = connect(Host(url=server.url), timeout=TIMEOUT)
        opening = asyncio.create_task(open_connection(redis))
        for _ in range(turns):
            await asyncio.sleep(0)
        was_under_way = opening.cancel()
        (result,) = await asyncio.gather(opening, return_exceptions=True)
        assert isinstance(result, asyncio.CancelledError) or not was_under_way
        await close(redis)

    with closing(VanishingServer()) as server, asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(open_and_cancel())


class StubbornProvider(CredentialProvider):
    """Waits until it is cancelled, and raises an error of its own then.

    Attributes:
        is_asked: Set when it waits.
    """

    def __init__(self, error: Exception) -> None:
        self.is_asked = asyncio.Event()
        self._error = error

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return nothing."""
        self.is_asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise self._error from None
        raise AssertionError


@pytest.mark.parametrize("error", [RedisConnectionError("made up"), LookupError("made up")])
async def test_cancellation_that_a_provider_swallows_is_not_lost(
    redis_server: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """Whatever it raises instead; and when the time is over, that is what the caller is told."""
    provider = StubbornProvider(error)
    host = Host(url=redis_server.url, arguments={"credential_provider": provider})
    redis = connect(host, timeout=TIMEOUT)
    opening = asyncio.create_task(open_connection(redis))
    await provider.is_asked.wait()
    opening.cancel()
    await asyncio.wait([opening])
    assert opening.cancelled()
    monkeypatch.setattr(sockets, "OPEN_TIMEOUT", 0.2)
    with pytest.raises(RedisTimeoutError, match="no connection within"):
        await open_connection(redis)
    await close(redis)


def test_connection_that_is_made_while_the_loop_stands_still_is_no_failure(
    redis_server: EmbeddedValkey,
) -> None:
    """At whichever turn of the loop it stops: the server answered in time.

    Each turn has a loop of its own, in a thread, so that all stand still at once.
    """
    limits = {"socket_connect_timeout": STILL / 2, "socket_timeout": STILL / 2}

    async def open_and_stand_still(turns: int) -> None:
        redis = connect(Host(url=redis_server.url, arguments=limits), timeout=TIMEOUT)
        opening = asyncio.create_task(open_connection(redis))
        for _ in range(turns):
            await asyncio.sleep(0)
        asyncio.get_running_loop().call_soon(time.sleep, STILL)
        await (await opening).disconnect()
        await close(redis)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda turns: asyncio.run(open_and_stand_still(turns)), range(1, 9)))


@pytest.mark.parametrize("still", [0.0, STILL])
async def test_sentinels_are_asked_again_after_the_loop_stood_still(
    redis_server: EmbeddedValkey, still: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py says of each Sentinel that is late that it knows no primary."""
    if not still:
        monkeypatch.setattr(asyncio.get_running_loop(), "time", FakeClock())
    address = urlsplit(redis_server.url)
    redis = connect(Host(master_name="p", sentinels=(("none", 1),)), timeout=TIMEOUT)
    pool: Any = redis.connection_pool
    asked = 0

    async def discover(_name: str) -> tuple[str | None, int | None]:
        nonlocal asked
        asked += 1
        if asked == 1:
            stand_still(still)
            await some_turns()
            raise MasterNotFoundError("No master found for 'p'")
        return address.hostname, address.port

    pool.sentinel_manager.discover_master = discover
    if still:
        await (await open_connection(redis)).disconnect()
    else:
        with pytest.raises(MasterNotFoundError):
            await open_connection(redis)
    assert asked == (2 if still else 1)
    await close(redis)


async def test_silent_sentinels_do_not_hide_one_that_answers(
    redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """Each costs one time limit, and not all the time that a connection may take."""
    sentinel = EmbeddedSentinel(directory=tmp_path, primary=redis_server, down_after=CALM)
    with (
        socket.create_server((LOOPBACK, 0)) as first,
        socket.create_server((LOOPBACK, 0)) as second,
        sentinel,
    ):
        ports = (first.getsockname()[1], second.getsockname()[1], sentinel.port)
        sentinels = tuple((LOOPBACK, port) for port in ports)
        redis = connect(Host(master_name=PRIMARY_NAME, sentinels=sentinels), timeout=TIMEOUT)

        async def is_connected() -> bool:
            try:
                await (await open_connection(redis)).disconnect()
            except RedisError:  # the one that answers stands still, on a busy machine
                return False
            return True

        await until(is_connected)
        await close(redis)


async def test_sentinel_that_was_restarted_is_asked_over_a_new_connection(
    redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """redis-py keeps the connection over which it asked, and does not see that it has ended."""
    with EmbeddedSentinel(directory=tmp_path, primary=redis_server, down_after=CALM) as sentinel:
        host = Host(
            master_name=PRIMARY_NAME,
            sentinels=((LOOPBACK, sentinel.port),),
            sentinel_arguments={"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT},
        )
        redis = connect(host, timeout=TIMEOUT)
        await (await open_connection(redis)).disconnect()
        sentinel.stop()
        sentinel.start()
        await (await open_connection(redis)).disconnect()
        await close(redis)


async def test_server_that_does_not_answer_is_asked_once() -> None:
    """The loop went on, so the time limit is the server's fault."""
    with socket.create_server((LOOPBACK, 0)) as server:
        server.setblocking(False)
        url = f"redis://:secret@{LOOPBACK}:{server.getsockname()[1]}"
        redis = connect(Host(url=url), timeout=SILENCE)
        with pytest.raises(RedisTimeoutError):
            await open_connection(redis)
        await close(redis)
        server.accept()[0].close()
        with pytest.raises(BlockingIOError):
            server.accept()


@pytest.mark.parametrize("make_loop", LOOPS)
def test_server_that_is_not_there_is_tried_once(make_loop: MakeLoop, tmp_path: Path) -> None:
    """No time has passed, which is no time in which the loop stood still."""
    redis = connect(Host(url=f"unix://{tmp_path}/none"), timeout=TIMEOUT)
    pool: Any = redis.connection_pool
    make, tried = pool.make_connection, 0

    def make_and_count() -> AbstractConnection:
        nonlocal tried
        tried += 1
        connection: AbstractConnection = make()
        return connection

    async def try_in_vain() -> None:
        with pytest.raises(RedisConnectionError):
            await open_connection(redis)
        await close(redis)

    pool.make_connection = make_and_count
    with asyncio.Runner(loop_factory=make_loop) as runner:
        for attempt in range(20):
            runner.run(try_in_vain())
            assert tried == attempt + 1


ECHOES = b"".join(pack(("ECHO", str(number))) for number in range(40))


class SlowAnswers(Answers):
    """Holds the event loop up with each answer."""

    taken = 0

    def answered(self, answer: Any) -> None:
        super().answered(answer)
        self.taken += 1
        time.sleep(TURN / 2)


async def test_one_read_is_handed_out_in_parts_of_several_turns(redis: Redis) -> None:
    """In order; then it is read on. The loop is never held up for long."""
    answers = SlowAnswers(await open_connection(redis))
    answers.write(ECHOES)
    taken, most = 0, 0
    async with asyncio.timeout(TIMEOUT):
        while taken < 40:
            await asyncio.sleep(0)
            most = max(most, answers.taken - taken)
            taken = answers.taken
        assert most <= 2
        answers.write(pack(("ECHO", "40")))
        assert [await answers.answers.get() for _ in range(41)] == [
            str(number).encode() for number in range(41)
        ]
    await answers.aclose()


async def test_what_had_come_is_handed_out_before_the_end_is_told(redis: Redis) -> None:
    """Though the connection ends between two parts of a read."""
    answers = SlowAnswers(await open_connection(redis))
    answers.write(ECHOES)
    async with asyncio.timeout(TIMEOUT):
        assert await answers.answers.get() == b"0"
        assert answers.taken < 40
        answers._transport.abort()  # as after a write that failed
        assert "the connection was lost" in str(await answers.end)
    assert answers.taken == 40
    await answers.aclose()


class FaultyAnswers(SlowAnswers):
    """Fails at the sixth."""

    def answered(self, answer: Any) -> None:
        super().answered(answer)
        if self.taken == 6:
            raise LookupError("made up")


@pytest.mark.parametrize("is_cut", [False, True])
async def test_answer_that_can_not_be_taken_ends_the_connection(
    redis: Redis, caplog: pytest.LogCaptureFixture, is_cut: bool
) -> None:
    """In whichever part of a read it stands: else nothing would be read for good, and unnoticed."""
    answers = FaultyAnswers(await open_connection(redis))
    answers.write(ECHOES)
    async with asyncio.timeout(TIMEOUT):
        assert await answers.answers.get() == b"0"
        assert answers.taken < 6
        if is_cut:
            answers._transport.abort()
        assert "made up" in str(await answers.end)
    assert answers.taken == 6
    assert "LookupError: made up" in caplog.text
    await answers.aclose()


@pytest.mark.parametrize("make_loop", LOOPS)
def test_reply_that_has_come_is_not_too_late(
    redis_server: EmbeddedValkey, make_loop: MakeLoop
) -> None:
    """Though the loop stands still for longer than a reply may take, before it is handed out."""

    def read_slowly(answer: bytes) -> bytes:
        time.sleep(TURN / 2)
        return answer

    async def ask() -> None:
        redis = connect(Host(url=redis_server.url), timeout=TIMEOUT)
        exchange = Exchange(
            await open_connection(redis),
            timeout=1.0,
            readers={"ECHO": read_slowly},
            leaves_replicas=False,
        )
        replies = exchange.ask_all([("ECHO", str(number)) for number in range(40)])
        for number, reply in enumerate(replies):
            assert await reply == str(number).encode()
            if number in (0, 20):
                assert not replies[-1].done()
                time.sleep(1.2)  # noqa: ASYNC251 (it is to stand still)
        await exchange.aclose()
        await close(redis)

    with asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(ask())


class TlsServer:
    """Answers GO over TLS, with some of its answers at once and the rest when told, and ends.

    Attributes:
        url: Where it listens.
        certificate: Its own.
    """

    def __init__(self, directory: Path, at_once: list[bytes], rest: list[bytes]) -> None:
        self.certificate, key = make_certificate(directory)
        self._at_once = at_once
        self._rest = rest
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._listening = socket.create_server((LOOPBACK, 0))
        self.url = f"rediss://{LOOPBACK}:{self._listening.getsockname()[1]}"
        self._is_told = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def say_the_rest(self) -> None:
        """Return once all is said and the connection ended."""
        self._is_told.set()
        self._thread.join()

    def close(self) -> None:
        """Listen no more."""
        self.say_the_rest()
        self._listening.close()

    def _serve(self) -> None:
        accepted, _ = self._listening.accept()
        with self._context.wrap_socket(accepted, server_side=True) as client:
            while b"GO" not in (commands := client.recv(65_536)):
                client.sendall(b"+OK\r\n" * commands.count(b"*"))
            client.sendall(b"".join(b"+%b\r\n" % answer for answer in self._at_once))
            if self._rest:
                self._is_told.wait(TIMEOUT)
                client.sendall(b"".join(b"+%b\r\n" % answer for answer in self._rest))


@contextmanager
def tls_server(directory: Path, at_once: list[bytes], rest: list[bytes]) -> Iterator[TlsServer]:
    """Run a server for one test."""
    server = TlsServer(directory, at_once, rest)
    try:
        yield server
    finally:
        server.close()


class Hearer(SlowAnswers):
    """Has the server say the rest, and end, while it hands out what the server said at once."""

    server: TlsServer

    def answered(self, answer: Any) -> None:
        super().answered(answer)
        if answer == b"5":
            self.server.say_the_rest()


@pytest.mark.parametrize("make_loop", LOOPS)
def test_end_over_tls_that_redis_pys_streams_were_told_is_told(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    """asyncio has closed the transport by then, and nothing follows."""

    async def take_over() -> None:
        host = Host(url=server.url, arguments={"ssl_ca_certs": str(server.certificate)})
        redis = connect(host, timeout=TIMEOUT)
        connection: Any = await open_connection(redis)
        connection._writer.write(pack(("GO",)))
        await until(connection._reader.at_eof, TIMEOUT)
        taken = Answers(connection)
        assert await told_of_the_end(taken, redis)

    with tls_server(tmp_path, [], []) as server, asyncio.Runner(loop_factory=make_loop) as runner:
        runner.run(take_over())


async def hear(server: TlsServer) -> list[bytes]:
    """Return all answers that a connection hears until it ends."""
    host = Host(url=server.url, arguments={"ssl_ca_certs": str(server.certificate)})
    redis = connect(host, timeout=TIMEOUT)
    answers = Hearer(await open_connection(redis))
    answers.server = server
    answers.write(pack(("GO",)))
    async with asyncio.timeout(TIMEOUT):
        await answers.end
    await answers.aclose()
    await close(redis)
    return [answers.answers.get_nowait() for _ in range(answers.answers.qsize())]


@pytest.mark.parametrize("make_loop", LOOPS)
def test_what_had_come_over_tls_is_handed_out_before_the_end_is_told(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    """What came after what is still handed out, and before the end, is not dropped."""
    said = [b"%d" % number for number in range(40)]
    with (
        tls_server(tmp_path, said[:20], said[20:]) as server,
        asyncio.Runner(loop_factory=make_loop) as runner,
    ):
        assert runner.run(hear(server)) == said


@pytest.mark.parametrize("make_loop", LOOPS)
def test_what_a_transport_had_read_over_tls_is_handed_out_before_the_end_is_told(
    tmp_path: Path, make_loop: MakeLoop
) -> None:
    """Though it reads on in the turn in which it is paused: uvloop reads all that is there."""
    said = [b"%010000d" % number for number in range(100)]
    with (
        tls_server(tmp_path, said, []) as server,
        asyncio.Runner(loop_factory=make_loop) as runner,
    ):
        assert runner.run(hear(server)) == said
