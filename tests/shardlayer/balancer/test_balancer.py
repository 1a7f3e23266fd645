"""A balancer and its workers, as processes: who gets whom, and what happens when one dies."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import socket
import stat
import struct
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import psutil
import pytest

from shardlayer.aio.open_files import room_for_connections
from shardlayer.balancer.refusals import RETRY_AFTER
from tests.server.client import CLOSE, TEXT, RawClient, frame, request
from tests.server.open_files import allow_files, open_files
from tests.server.process import ServerProcess
from tests.server.test_endpoints import make_certificate, tls
from tests.shardlayer.balancer.processes import BalancerProcess
from tests.waiting import PATIENCE, wait_until

PAGE = b"GET /page HTTP/1.1\r\nHost: test\r\n\r\n"
LONG_PAGE = b"GET /hang?begun HTTP/1.1\r\nHost: test\r\n\r\n"  # it begins, and never ends
BUSY = "The event loop was blocked"  # what a worker says on a machine that has much else to do


@pytest.fixture
def balancer(tmp_path: Path) -> Iterator[BalancerProcess]:
    """A balancer without limits worth mentioning."""
    with BalancerProcess(tmp_path) as process:
        yield process


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """Ends what a test opened."""
    with ExitStack() as made:
        yield made


def two_workers(balancer: BalancerProcess, stack: ExitStack, *options: str) -> list[ServerProcess]:
    """Return two workers, `worker-1` and `worker-2`, that have joined and hold nothing yet."""
    workers = [stack.enter_context(balancer.worker(*options)) for _ in range(2)]
    balancer.wait_loads(worker_1=0, worker_2=0)
    return workers


def answer(connection: socket.socket, sent: bytes = b"") -> bytes:
    """Send something and return all that comes back."""
    if sent:
        connection.sendall(sent)
    with connection, connection.makefile("rb") as received:
        return received.read()


def handed_to_one_that_stands_still(
    balancer: BalancerProcess, stopped: ServerProcess
) -> list[socket.socket]:
    """Stop `worker-1`, and return ten connections that have asked, of which it gets its share."""
    stopped.process.send_signal(signal.SIGSTOP)
    waiting = [balancer.connect() for _ in range(10)]
    for connection in waiting:
        connection.sendall(request())
    wait_until(
        lambda: any(
            worker["name"] == "worker-1" and worker["waiting"]
            for worker in balancer.health()["workers"]
        )
    )
    return waiting


def says(client: RawClient, text: bytes) -> bool:
    """Say whether a client's echo comes back."""
    try:
        client.send(frame(TEXT, text))
        received = client.read()
    except OSError:
        return False
    return received is not None and received.payload == text


def test_least_loaded_gets_it(balancer: BalancerProcess, stack: ExitStack) -> None:
    """Arrivals leave no difference over one, departures are filled, and addresses survive."""
    two_workers(balancer, stack)
    clients = [RawClient(balancer.connect()) for _ in range(10)]
    assert sorted(balancer.loads().values()) == [5, 5]
    for client in clients[::2]:
        client.disconnect()  # all of one worker
    wait_until(lambda: sorted(balancer.loads().values()) == [0, 5])
    clients += [RawClient(balancer.connect()) for _ in range(5)]
    assert sorted(balancer.loads().values()) == [5, 5]
    connection = balancer.connect()
    address = list(connection.getsockname())
    with RawClient(connection, request("/scope")) as client:
        received = client.read()
        assert received is not None
        scope = json.loads(received.payload)
        assert scope["client"] == address
        assert scope["server"] == list(balancer.address)
    for client in clients:
        client.disconnect()
    balancer.wait_loads(worker_1=0, worker_2=0)
    counters = balancer.health()["counters"]
    assert (counters["accepted"], counters["handed_over"]) == (16, 16)
    assert balancer.errors() == []


def test_nobody_there(balancer: BalancerProcess) -> None:
    """Without a worker everybody gets a real 503, whatever they ask for, and soon."""
    assert balancer.ask()[0] == 503
    assert balancer.health()["status"] == "no workers"
    with RawClient(balancer.connect()) as client:
        assert client.status == 503
        assert f"Retry-After: {RETRY_AFTER}" in client.head
        assert b"Try again" in client.rest()
    assert answer(balancer.connect(), PAGE).startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
    half = balancer.connect()
    half.sendall(PAGE[:10])
    half.shutdown(socket.SHUT_WR)
    assert answer(half).startswith(b"HTTP/1.1 503")
    with pytest.raises(ConnectionResetError):
        answer(balancer.connect(), b"\x16\x03\x01\x02\x00")  # nobody here speaks TLS
    counters = balancer.health()["counters"]
    assert (counters["refused"], counters["dropped"]) == (3, 1)
    assert "status=503" not in balancer.log  # not everybody wants a line for each client


def test_silent_client_is_not_waited_for(balancer: BalancerProcess) -> None:
    """Who says nothing is told as well, after a while; who leaves is forgotten."""
    for _ in range(20):
        balancer.connect().close()
    wait_until(lambda: balancer.health()["counters"]["dropped"] == 20)
    began = time.monotonic()
    assert answer(balancer.connect()).startswith(b"HTTP/1.1 503")
    assert time.monotonic() - began > 2


def test_full_house(tmp_path: Path, stack: ExitStack) -> None:
    """When all is taken WebSockets get a 503, and pages still an answer, up to the reserve."""
    balancer = stack.enter_context(
        BalancerProcess(tmp_path, "--max-connections", "4", "--reserve", "2")
    )
    two_workers(balancer, stack)
    clients = [stack.enter_context(RawClient(balancer.connect())) for _ in range(4)]
    assert [client.status for client in clients] == [101] * 4
    wait_until(lambda: balancer.health()["status"] == "full")
    assert balancer.ask()[0] == 503
    assert [worker["capacity"] for worker in balancer.health()["workers"]] == [2, 2]
    with RawClient(balancer.connect()) as refused:
        assert refused.status == 503
    pages = [stack.enter_context(balancer.connect()) for _ in range(2)]
    wait_until(lambda: balancer.health()["looked_at"] == 2)
    for page in pages:
        page.sendall(LONG_PAGE)
        assert page.recv(12) == b"HTTP/1.1 200"
    assert answer(balancer.connect(), PAGE).startswith(b"HTTP/1.1 503")
    for page in pages:
        page.close()
    clients.pop().disconnect()

    def lets_in() -> bool:
        client = RawClient(balancer.connect())
        if client.status == 101:
            clients.append(client)
        else:
            client.disconnect()
        return client.status == 101

    wait_until(lets_in)
    for client in clients:
        client.disconnect()
    wait_until(lambda: sum(balancer.loads().values()) == 0)


def test_silent_connections_take_nobodys_place(tmp_path: Path, stack: ExitStack) -> None:
    """Who has asked for nothing may hold as many as it likes: all who ask find the same room."""
    balancer = stack.enter_context(
        BalancerProcess(tmp_path, "--max-connections", "4", "--reserve", "1")
    )
    two_workers(balancer, stack)
    for _ in range(20):
        stack.enter_context(balancer.connect())
    wait_until(lambda: balancer.health()["looked_at"] == 16)
    wait_until(lambda: [each["silent"] for each in balancer.health()["workers"]] == [2, 2])
    assert balancer.health()["status"] == "ready"
    clients = [stack.enter_context(RawClient(balancer.connect())) for _ in range(4)]
    assert [client.status for client in clients] == [101] * 4
    wait_until(lambda: balancer.health()["status"] == "full")
    assert status_of_websocket(balancer) == 503
    page = stack.enter_context(balancer.connect())
    page.sendall(PAGE)
    assert page.recv(12) == b"HTTP/1.1 200"


def test_own_capacity(tmp_path: Path, stack: ExitStack) -> None:
    """A worker that can hold less than its share leaves the rest to others."""
    balancer = stack.enter_context(BalancerProcess(tmp_path, "--max-connections", "6"))
    stack.enter_context(balancer.worker("--capacity", "1"))
    stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=0, worker_2=0)
    clients = [stack.enter_context(RawClient(balancer.connect())) for _ in range(6)]
    assert [client.status for client in clients] == [101] * 6
    balancer.wait_loads(worker_1=1, worker_2=5)


def test_proxy_headers(balancer: BalancerProcess, stack: ExitStack) -> None:
    """Behind a proxy that speaks HTTP, a worker believes it as without a balancer."""
    stack.enter_context(balancer.worker("--proxy-headers"))
    balancer.wait_loads(worker_1=0)
    opening = request("/scope", X_Forwarded_For="192.0.2.9", X_Forwarded_Port="1234")
    with RawClient(balancer.connect(), opening) as client:
        received = client.read()
        assert received is not None
        assert json.loads(received.payload)["client"] == ["192.0.2.9", 1234]


def test_tls_full_house(tmp_path: Path, stack: ExitStack) -> None:
    """Over TLS a worker answers the 503, and serves a page out of the reserve."""
    certificate, key = make_certificate(tmp_path)
    endpoint = f"ssl:port=0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
    balancer = stack.enter_context(
        BalancerProcess(tmp_path, "--max-connections", "1", "--reserve", "2")
    )
    stack.enter_context(balancer.worker("-e", endpoint))
    balancer.wait_loads(worker_1=0)
    client = stack.enter_context(RawClient(tls(balancer.connect(), certificate)))
    assert client.status == 101
    with RawClient(tls(balancer.connect(), certificate)) as refused:
        assert refused.status == 503
        assert "Retry-After" in refused.head
    with tls(balancer.connect(), certificate) as page:
        page.sendall(PAGE)
        assert page.recv(12) == b"HTTP/1.1 200"


def test_worker_dies(balancer: BalancerProcess, stack: ExitStack) -> None:
    """Its clients' connections end; who comes next is served by the other one, at once."""
    workers = two_workers(balancer, stack)
    clients = [stack.enter_context(RawClient(balancer.connect())) for _ in range(6)]
    workers[0].process.kill()
    workers[0].process.wait()
    statuses = []
    for _ in range(20):
        with RawClient(balancer.connect()) as client:
            statuses.append(client.status)
    assert statuses == [101] * 20
    assert sum(says(client, b"still here") for client in clients) == 3
    assert list(balancer.loads()) == ["worker-2"]


def test_worker_dies_with_connections_it_has_not_taken(
    balancer: BalancerProcess, stack: ExitStack
) -> None:
    """A connection that was handed to a worker in the moment of its death is another's."""
    stopped, _ = two_workers(balancer, stack)
    waiting = handed_to_one_that_stands_still(balancer, stopped)
    stopped.process.kill()
    stopped.process.wait()
    for connection in waiting:
        with connection, connection.makefile("rb") as received:
            assert received.readline() == b"HTTP/1.1 101 Switching Protocols\r\n"
    assert balancer.health()["counters"]["taken_back"] > 0


def test_last_worker_dies_with_connections_it_has_not_taken(
    balancer: BalancerProcess, stack: ExitStack
) -> None:
    """Without another one each gets the 503, and none hangs."""
    stopped = stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=0)
    stopped.process.send_signal(signal.SIGSTOP)
    waiting = [balancer.connect() for _ in range(10)]
    wait_until(lambda: balancer.health()["workers"][0]["waiting"] == 10)
    stopped.process.kill()
    stopped.process.wait()
    for connection in waiting:
        assert answer(connection, request()).startswith(b"HTTP/1.1 503")


@pytest.mark.slow
def test_worker_stands_still(balancer: BalancerProcess, stack: ExitStack) -> None:
    """One that acknowledges nothing gets no more, and what it did not take is another's.

    When it goes on it takes none of that, and joins anew.
    """
    stopped, _ = two_workers(balancer, stack)
    waiting = handed_to_one_that_stands_still(balancer, stopped)
    wait_until(lambda: list(balancer.loads()) == ["worker-2"])
    for connection in waiting:
        client = stack.enter_context(RawClient(connection, b""))
        assert client.status == 101
    stopped.process.send_signal(signal.SIGCONT)
    balancer.wait_loads(worker_1=0, worker_2=10)


def test_only_worker_stands_still(balancer: BalancerProcess, stack: ExitStack) -> None:
    """Nobody else could serve, so clients wait for it, and are served when it goes on."""
    stopped = stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=0)
    stopped.process.send_signal(signal.SIGSTOP)
    waiting = [balancer.connect()]
    wait_until(lambda: balancer.health()["workers"][0]["stalled"])
    waiting.append(balancer.connect())
    wait_until(lambda: balancer.health()["workers"][0]["waiting"] == 2)
    stopped.process.send_signal(signal.SIGCONT)
    for connection in waiting:
        with RawClient(connection) as client:
            assert client.status == 101


def test_ipv6(tmp_path: Path, stack: ExitStack) -> None:
    """A client may come by either protocol; its address is what the worker sees."""
    balancer = stack.enter_context(
        BalancerProcess(tmp_path, "--host", "127.0.0.1", "--host", "[::1]")
    )
    stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=0)
    port = int(re.findall(r"Listening on TCP address ::1:(\d+)", balancer.log)[0])
    for host, where in (("127.0.0.1", balancer.address[1]), ("::1", port)):
        connection = socket.create_connection((host, where), timeout=PATIENCE)
        with RawClient(connection, request("/scope")) as client:
            received = client.read()
            assert received is not None
            assert json.loads(received.payload)["client"][0] == host


@pytest.mark.slow
def test_nobody_hangs_while_workers_are_killed(balancer: BalancerProcess, stack: ExitStack) -> None:
    """Each client gets an answer or an end, soon, whatever dies in the moment it comes."""
    chance = random.Random(3)
    running = two_workers(balancer, stack)
    outcomes: Counter[str] = Counter()
    for _ in range(6):
        waiting = [balancer.connect() for _ in range(20)]
        victim = running.pop(chance.randrange(len(running)))
        victim.process.kill()
        waiting += [balancer.connect() for _ in range(20)]
        for connection in waiting:
            try:
                head = answer_head(connection, request())
            except OSError:
                head = b""
            outcomes[head[9:12].decode()] += 1
        victim.process.wait()
        running.append(stack.enter_context(balancer.worker()))
        wait_until(lambda: len(balancer.loads()) == 2)
    assert set(outcomes) <= {"101", "503", ""}
    assert outcomes["101"] >= 120  # those who came later, and half of the others


def answer_head(connection: socket.socket, sent: bytes) -> bytes:
    """Send something, and return the first line that comes back."""
    with connection, connection.makefile("rb") as received:
        connection.sendall(sent)
        return received.readline()


def test_balancer_dies(tmp_path: Path, stack: ExitStack) -> None:
    """No connection ends; one that is started again has the port, and the workers, at once."""
    first = BalancerProcess(tmp_path)
    with first:
        workers = two_workers(first, stack)
        clients = [stack.enter_context(RawClient(first.connect())) for _ in range(4)]
        first.process.kill()
        first.process.wait()
        assert all(says(client, b"without") for client in clients)
    port = first.address[1]
    with BalancerProcess(tmp_path, port=port) as second:
        second.wait_loads(worker_1=2, worker_2=2)
        with RawClient(second.connect()) as client:
            assert client.status == 101
        assert all(says(client, b"with") for client in clients)
    assert all(says(client, b"stopped") for client in clients)
    assert [worker.process.poll() for worker in workers] == [None, None]


def test_stop(balancer: BalancerProcess, stack: ExitStack) -> None:
    """SIGTERM ends it with 0, removes its socket, and answers who is still waiting."""
    waiting = stack.enter_context(balancer.connect())
    wait_until(lambda: balancer.health()["counters"]["accepted"] == 1)
    balancer.process.send_signal(signal.SIGTERM)
    with waiting.makefile("rb") as received:
        assert received.readline().startswith(b"HTTP/1.1 503")
        waiting.close()
    assert balancer.process.wait(PATIENCE) == 0
    assert not balancer.path.exists()
    assert balancer.errors() == []


def test_worker_that_stops_leaves_first(balancer: BalancerProcess, stack: ExitStack) -> None:
    """While its clients are sent away, those who come are served by the other one."""
    stopping = stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=0)
    clients = [stack.enter_context(RawClient(balancer.connect())) for _ in range(4)]
    stack.enter_context(balancer.worker())
    wait_until(lambda: len(balancer.loads()) == 2)
    stopping.process.send_signal(signal.SIGTERM)
    for client in clients:
        close = client.read()
        assert close is not None
        assert (close.opcode, close.code) == (CLOSE, 1012)
        with RawClient(balancer.connect()) as again:
            assert again.status == 101
    assert stopping.process.wait(PATIENCE) == 0
    assert balancer.errors() == []


def test_health(balancer: BalancerProcess, stack: ExitStack) -> None:
    """What it says of each worker, and what of itself."""
    stack.enter_context(balancer.worker())
    wait_until(lambda: balancer.ask("/health/ready")[0] == 200)
    assert balancer.ask("/health/live") == (200, {"status": "live"})
    assert balancer.ask("/nothing")[0] == 404
    forwarded = balancer.ask(header="\r\nx-forwarded-for: 192.0.2.1")
    assert forwarded == (200, {"status": "ready"})
    body = balancer.health()
    (worker,) = body["workers"]
    assert body["capacity"] == worker["capacity"] == 12_000
    assert worker["name"] == "worker-1"
    assert worker["pid"] > 0
    assert worker["stalled"] is False


def test_files(balancer: BalancerProcess, tmp_path: Path) -> None:
    """The socket is for this user alone; a second balancer on it, or on the port, says so."""
    assert stat.S_IMODE(os.stat(balancer.path).st_mode) == 0o600
    other = tmp_path / "other"  # with a log of its own
    other.mkdir()
    with pytest.raises(RuntimeError, match=r"runs at .* already"):
        BalancerProcess(other, "--socket", str(balancer.path)).__enter__()
    with pytest.raises(RuntimeError, match=r"Can't listen on 127\.0\.0\.1 port"):
        BalancerProcess(other, port=balancer.address[1]).__enter__()
    assert status_of_websocket(balancer) == 503  # the first one still runs, and its socket is there
    assert balancer.path.exists()
    assert balancer.errors() == []


@pytest.mark.skipif(sys.platform != "linux", reason="sets another process's limit")
def test_worker_waits_while_no_file_may_be_opened(
    balancer: BalancerProcess, stack: ExitStack
) -> None:
    """The balancer does not try all the time, says why it waits, and takes the worker then."""
    watched = psutil.Process(balancer.process.pid)
    allow_files(watched.pid, 0)
    waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
    waiting.connect(str(balancer.path))
    wait_until(lambda: "A worker can't be accepted" in balancer.log)
    before = watched.cpu_times().user + watched.cpu_times().system
    time.sleep(1.5)
    assert watched.cpu_times().user + watched.cpu_times().system - before < 0.2
    allow_files(watched.pid, 100)
    stack.enter_context(balancer.worker())
    wait_until(lambda: balancer.ask()[1]["status"] == "ready")


def test_worker_with_few_files(balancer: BalancerProcess, stack: ExitStack) -> None:
    """It holds as many as its limit has room for, whatever it was told; the others get a 503."""
    room = room_for_connections(64)
    worker = stack.enter_context(balancer.worker("--capacity", "5000", open_files=64))
    balancer.wait_loads(worker_1=0)
    assert balancer.health()["capacity"] == room
    connections = [balancer.connect() for _ in range(90)]  # in a few hand-overs
    # Who asks has a place before who is silent, so those of the worker may have to make way when
    # they have just asked, and were not read yet. They get an answer all the same.
    wait_until(lambda: balancer.health()["looked_at"] == 90 - room)
    for connection in connections:
        connection.sendall(request())
    clients = [stack.enter_context(RawClient(each, b"")) for each in connections]
    assert Counter(client.status for client in clients) == {101: room, 503: 90 - room}
    health = balancer.health()
    assert (health["counters"]["joined"], health["counters"]["taken_back"]) == (1, 0)
    assert "--capacity 5000 needs more open files than the limit (64) allows" in worker.log
    assert "The link to the balancer ended" not in worker.log


@pytest.mark.skipif(sys.platform != "linux", reason="sets another process's limit")
def test_worker_whose_files_are_used_up(balancer: BalancerProcess, stack: ExitStack) -> None:
    """What it has no files for goes to another worker; its link and its clients stay."""
    full = stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=0)
    kept = stack.enter_context(RawClient(balancer.connect()))
    allow_files(full.process.pid, 0)
    stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=1, worker_2=0)
    clients = [stack.enter_context(RawClient(balancer.connect())) for _ in range(20)]
    assert [client.status for client in clients] == [101] * 20
    balancer.wait_loads(worker_1=1, worker_2=20)
    counters = balancer.health()["counters"]
    assert counters["joined"] == 2
    assert counters["taken_back"] > 0
    assert says(kept, b"still here")
    allow_files(full.process.pid, 100)

    def takes_again() -> bool:
        assert stack.enter_context(RawClient(balancer.connect())).status == 101
        return balancer.loads()["worker-1"] > 1

    wait_until(takes_again)


def status_of_websocket(balancer: BalancerProcess) -> int:
    """Return the status that a WebSocket gets."""
    with RawClient(balancer.connect()) as client:
        return client.status


def test_workers_that_misbehave(balancer: BalancerProcess, stack: ExitStack) -> None:
    """A broken frame, an unknown version or a false receipt ends that link, and nothing else."""
    good = stack.enter_context(balancer.worker())
    balancer.wait_loads(worker_1=0)
    for data in (
        b"\x01\x00\x01x",
        struct.pack("!BHBI", 1, 5, 99, 0),
        struct.pack("!BHQI", 2, 12, 1, 1),
        struct.pack("!BHBI", 1, 5, 1, 0) + struct.pack("!BHQI", 2, 12, 1, 1),
    ):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(PATIENCE)
            connection.connect(str(balancer.path))
            connection.sendall(data)
            while connection.recv(4096):
                pass
    balancer.wait_loads(worker_1=0)
    assert status_of_websocket(balancer) == 101
    assert good.errors() == []


def churn(balancer: BalancerProcess, count: int) -> None:
    """Open and close so many connections, in each way that clients do, many at a time."""
    opened = 0
    batch = 50
    while opened < count:
        connections = []
        for number in range(batch):
            connection = socket.create_connection(balancer.address, timeout=60)
            kind = number % 5
            if kind == 0:  # gone before it is adopted, with a reset
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                connection.close()
                continue
            if kind == 1:  # gone without a word
                connection.close()
                continue
            if kind == 2:
                connection.sendall(b"GET /page HTTP/1.0\r\n\r\n")
            else:
                connection.sendall(request())
            connections.append((kind, connection))
        for kind, connection in connections:
            with connection, connection.makefile("rb") as received:
                status = received.readline()
                assert re.match(rb"HTTP/1.[01] (101|200)", status), (kind, status)
                if kind == 4:
                    connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )
        opened += batch


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(10_000, marks=pytest.mark.timeout(240)),
        pytest.param(100_000, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_churn(balancer: BalancerProcess, stack: ExitStack, count: int) -> None:
    """Descriptors whose numbers are used again and again are each served, and none is left."""
    workers = two_workers(balancer, stack, "--access-log", "/dev/null")
    pids = [balancer.process.pid, *(worker.process.pid for worker in workers)]
    before = count_files(pids)
    churn(balancer, count)
    balancer.wait_loads(worker_1=0, worker_2=0)
    counters = balancer.health()["counters"]
    assert counters["accepted"] == counters["handed_over"] == count
    wait_until(lambda: count_files(pids) <= before)
    found = [line for process in (balancer, *workers) for line in process.errors()]
    assert [line for line in found if BUSY not in line] == []


def count_files(pids: list[int]) -> int:
    """Return how many descriptors processes have."""
    return sum(len(open_files(pid)) for pid in pids)
