"""The whole of it with compression: what `websockets` makes of pushes, answers and histories."""

from __future__ import annotations

import json
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.request import urlopen

import pytest
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import (
    ClientPerMessageDeflateFactory,
    PerMessageDeflate,
)
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect
from websockets.typing import ExtensionParameter, Origin

from demo.embedded import free_port
from tests.realtime.process import Process
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

TEXT = "something new, " * 30


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """Where a worker without Redis listens that compresses for two clients or more."""
    directory, port = tmp_path_factory.mktemp("compressed"), free_port()
    command = [
        *(sys.executable, "-m", "shardlayer.server", "-b", "127.0.0.1", "-p", str(port)),
        *("--websocket-compression", "1", "--websocket-compression-min-clients", "2"),
        "config.asgi:application",
    ]
    with Process(
        command,
        log=directory / "server.log",
        DJANGO_SETTINGS_MODULE="tests.realtime.impatient_settings",
        DATABASE_URL=f"sqlite:///{directory}/db.sqlite3",
        REDIS_URL="memory://",
    ) as process:
        wait_until(lambda: process.listens_on(port) or not process.runs(), what="It did not start.")
        assert process.runs(), process.output()
        yield port


class Counting(ClientPerMessageDeflateFactory):
    """Offers compression as `websockets` does by itself, and notes which messages came so."""

    def __init__(self) -> None:
        super().__init__(compress_settings={"memLevel": 5})
        self.came: deque[bool] = deque()  # of what was not heard yet

    def process_response_params(
        self, params: Sequence[ExtensionParameter], accepted_extensions: Sequence[Extension]
    ) -> PerMessageDeflate:
        extension = super().process_response_params(params, accepted_extensions)
        decode = extension.decode

        def noted(frame: Frame, **limits: Any) -> Frame:
            if frame.opcode is Opcode.TEXT:
                self.came.append(frame.rsv1)
            return decode(frame, **limits)

        extension.decode = noted  # type: ignore[method-assign]
        return extension


class Visitor:
    """A client that offers compression, or not."""

    def __init__(self, port: int, stack: ExitStack, *, compresses: bool) -> None:
        self.deflate = Counting()
        self._socket = stack.enter_context(
            connect(
                f"ws://127.0.0.1:{port}/ws/",
                origin=Origin(f"http://127.0.0.1:{port}"),
                extensions=[self.deflate] if compresses else None,
                compression=None,
                proxy=None,
                open_timeout=PATIENCE,
            )
        )
        assert self._socket.response is not None
        self.is_agreed = "Sec-WebSocket-Extensions" in self._socket.response.headers
        self.pushes: list[dict[str, Any]] = []
        self.compressed: list[bool] = []

    def hear(self) -> dict[str, Any]:
        """Return the next message; a push is noted."""
        message: dict[str, Any] = json.loads(self._socket.recv(timeout=PATIENCE))
        is_compressed = bool(self.deflate.came) and self.deflate.came.popleft()
        if "id" not in message:
            self.pushes.append(message)
            self.compressed.append(is_compressed)
        return message

    def take(self, count: int) -> None:
        """Wait for so many pushes."""
        for _ in range(count):
            assert "id" not in self.hear()

    def ask(self, **command: Any) -> Any:
        """Return the answer to a command; what comes before it are pushes."""
        self._socket.send(json.dumps({"id": 1, **command}))
        while "id" not in (message := self.hear()):
            pass
        assert "error" not in message, message
        return message


def publish(visitor: Visitor, room: str, count: int) -> None:
    """Publish numbered texts, one after the other."""
    for number in range(count):
        visitor.ask(publish={"room": room, "data": {"n": number, "text": TEXT}})


def test_a_room_of_both(port: int) -> None:
    """Who offered it gets compressed pushes, and who did not the same in plain frames."""
    with ExitStack() as stack:
        first, second = (Visitor(port, stack, compresses=True) for _ in range(2))
        plain, publisher = (Visitor(port, stack, compresses=False) for _ in range(2))
        assert [each.is_agreed for each in (first, second, plain)] == [True, True, False]
        for each in (first, second, plain):
            each.ask(subscribe={"room": "chat.both"})
        publish(publisher, "chat.both", 5)
        for each in (first, second, plain):
            each.take(5)
        assert first.pushes == second.pushes == plain.pushes
        assert [push["data"]["n"] for push in plain.pushes] == list(range(5))
        assert first.compressed == [True] * 5
        # Its own large commands and the answers to them.
        first.ask(publish={"room": "chat.both", "data": TEXT * 10})
        for each in (second, plain):
            each.take(1)
            assert each.pushes[-1]["data"] == TEXT * 10


def test_coming_back(port: int) -> None:
    """Histories, and what was missed, are answers for one client; what comes next is compressed."""
    with ExitStack() as stack:
        first, other = (Visitor(port, stack, compresses=True) for _ in range(2))
        publisher = Visitor(port, stack, compresses=True)
        at = first.ask(subscribe={"room": "chat.back"})["subscribed"]
        publish(publisher, "chat.back", 3)
        back = other.ask(subscribe={"room": "chat.back", "offset": 1, "epoch": at["epoch"]})
        missed = back["subscribed"]
        assert missed["recovered"]
        assert [each["data"]["n"] for each in missed["publications"]] == [1, 2]
        publish(publisher, "chat.back", 2)
        first.take(5)
        other.take(2)
        assert other.pushes == first.pushes[3:]
        assert other.compressed == first.compressed[3:] == [True, True]
        assert first.compressed[:3] == [False] * 3  # it was alone
        page = other.ask(history={"room": "chat.back", "limit": 10})["history"]
        assert [each["data"]["n"] for each in page["publications"]] == [0, 1, 2, 0, 1]


def test_many_at_once(port: int) -> None:
    """Messages that are joined into one write are each compressed by itself."""
    with ExitStack() as stack:
        first, second = (Visitor(port, stack, compresses=True) for _ in range(2))
        for each in (first, second):
            each.ask(subscribe=[{"room": f"chat.{name}"} for name in "abc"])
        for number in range(40):  # none of them waits for its answer
            first._socket.send(
                json.dumps(
                    {"id": 2, "publish": {"room": f"chat.{'abc'[number % 3]}", "data": TEXT}}
                )
            )
        second.take(40)
        assert second.compressed == [True] * 40
        for name in "abc":
            offsets = [push["offset"] for push in second.pushes if push["room"] == f"chat.{name}"]
            assert offsets == list(range(1, len(offsets) + 1))


def test_what_was_saved_is_counted(port: int) -> None:
    """In the metrics, with the bytes that were written."""
    with ExitStack() as stack:
        visitors = [Visitor(port, stack, compresses=True) for _ in range(2)]
        for each in visitors:
            each.ask(subscribe={"room": "chat.saved"})
        before = saved(port)
        publish(visitors[0], "chat.saved", 2)  # the first goes through gates
        visitors[1].take(2)
        wait_until(lambda: saved(port) > before, what="nothing was saved")


def saved(port: int) -> float:
    """Return the bytes that compression has saved so far."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE) as answer:
        lines = answer.read().decode().splitlines()
    return sum(
        float(line.split()[-1])
        for line in lines
        if line.startswith("shardlayer_compression_saved_bytes_total")
    )
