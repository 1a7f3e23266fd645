"""Agents: clients of another machine, for who has the key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo.embedded import free_port
from realtime.loadtest.agents import load_agent
from realtime.loadtest.agents.load_agent import LoadAgent
from realtime.loadtest.agents.signed_lines import (
    TO_AGENT,
    TO_COMMAND,
    BadSignature,
    SignedLines,
)
from realtime.loadtest.crew.agent_helper import AgentHelper
from realtime.loadtest.load_failed import LoadFailed
from tests.realtime.loadtest.load_site import LoadSite
from tests.realtime.process import Process, manage
from tests.waiting import PATIENCE, until

KEY = "a key of the tests alone"
NONCES = (b"one", b"two")


def test_lines_come_through() -> None:
    """In their order."""
    sealer, opener = (SignedLines(KEY, TO_AGENT, NONCES) for _ in range(2))
    for line in (b"{}", b"", b'{"a":1}'):
        assert opener.open(sealer.seal(line)) == line


@pytest.mark.parametrize(
    "other",
    [
        SignedLines("another key of the tests", TO_AGENT, NONCES),
        SignedLines(KEY, TO_COMMAND, NONCES),
        SignedLines(KEY, TO_AGENT, (b"one", b"three")),
        SignedLines(KEY, TO_AGENT, (b"onet", b"wo")),
    ],
    ids=["key", "direction", "conversation", "border"],
)
def test_line_of_another_is_refused(other: SignedLines) -> None:
    """Whatever differs."""
    with pytest.raises(BadSignature):
        SignedLines(KEY, TO_AGENT, NONCES).open(other.seal(b"{}"))


def test_line_is_taken_once_and_in_its_place() -> None:
    """Repeated, left out, or changed, it does not count."""
    sealer = SignedLines(KEY, TO_AGENT, NONCES)
    first, second = sealer.seal(b"{}"), sealer.seal(b"[]")
    for lines in ([first, first], [second], [first.replace(b"{}", b"[]")], [b"\n"]):
        opener = SignedLines(KEY, TO_AGENT, NONCES)
        for line in lines[:-1]:
            opener.open(line)
        with pytest.raises(BadSignature):
            opener.open(lines[-1])


@contextmanager
def agent(site: LoadSite, folder: Path, *options: str) -> Iterator[tuple[str, Process]]:
    """An agent's address, and its process."""
    address = f"127.0.0.1:{free_port()}"
    command = manage("realtime", "loadtest", "agent", "--listen", address, *options)
    log = folder / "agent.log"
    with Process(command, log=log, LOADTEST_AGENT_KEY=KEY, **site.environment) as process:
        process.says("Listening at")
        yield address, process


def key_file(folder: Path, key: str) -> str:
    """Return the name of a file with a key."""
    file = folder / "key"
    file.write_text(f"{key}\n")
    return str(file)


@pytest.mark.xdist_group("loadtest")
def test_agent_holds_the_clients(load_site: LoadSite, tmp_path: Path) -> None:
    """All of them; whoever has another key has none."""
    crowd = ("--clients", "12", "--rooms", "2", "--rate", "40", "--seconds", "1", "--json")
    with agent(load_site, tmp_path) as (address, process):
        command = ("broadcast", *crowd, "--agents", address, "--agent-processes", "2")
        key = key_file(tmp_path, KEY)
        tested = load_site.test(*command, "--agent-key-file", key)
        assert tested.code == 0, tested.errors
        assert tested.report["figures"]["complete"] == 12
        names = [name for name, *_ in tested.table("Processes of the load test")]
        assert names == [f"agent-1 {address}", f"agent-2 {address}", "publisher"]
        assert any("clocks were compared" in each for each in tested.report["findings"])
        stranger = key_file(tmp_path, "another key of the tests")
        refused = load_site.test(*command, "--agent-key-file", stranger)
        assert refused.code == 3
        assert "its agent closed the connection" in refused.errors
        process.says("is refused: A line's signature does not count")


@pytest.mark.xdist_group("loadtest")
def test_agent_judges_the_target_itself(load_site: LoadSite, tmp_path: Path) -> None:
    """Who leads may own a site that the agent's operator does not."""
    with agent(load_site, tmp_path) as (address, process):
        refused = load_site.test(
            *("connect", "--url", "ws://192.0.2.1/ws/", "--yes-i-own-it", "192.0.2.1"),
            *("--agents", address, "--agent-key-file", key_file(tmp_path, KEY)),
        )
        assert refused.code == 3
        process.says("--yes-i-own-it 192.0.2.1")


@asynccontextmanager
async def listening(*, most: int = 1) -> AsyncIterator[tuple[tuple[str, int], list[str]]]:
    """The address of an agent in this process, and what it says."""
    said: list[str] = []
    server = await LoadAgent(KEY, owned=None, most=most, say=said.append).listen("127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname(), said


async def test_agent_connects_to_the_address_that_it_judged() -> None:
    """Whoever leads may say that a host is elsewhere: that is for the agent to find out."""
    came = asyncio.Event()

    def greet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.set()
        writer.close()

    site = await asyncio.start_server(greet, "127.0.0.1", 0)
    port = site.sockets[0].getsockname()[1]
    target = {"address": "192.0.2.1", "port": port, "path": "/ws/", "tls_name": ""}
    target |= {"host": f"127.0.0.1:{port}", "origin": "http://127.0.0.1"}
    rooms = [("x" * 20, "", 0)] * 1_000  # and so a line that is longer than a stranger's
    async with site, listening() as (address, _):
        helper = await AgentHelper.connect("agent", address, KEY, lambda *_: None)
        try:
            known = {"offset": 0, "keeps_positions": False, "reconnects": False}
            setup: dict[str, Any] = {"targets": [target], "rooms": rooms, **known}
            await helper.ask("setup", **setup)
            opening = asyncio.create_task(
                helper.ask("open", people=[(0, [0], "", "")], at_once=1, pace=0)
            )
            async with asyncio.timeout(PATIENCE):
                await came.wait()
            opening.cancel()
        finally:
            await helper.aclose()


async def test_strangers_are_few_and_say_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has not shown the key takes neither memory nor all the places for long."""
    monkeypatch.setattr(load_agent, "_STRANGERS", 2)
    async with listening() as (address, said):
        first = await asyncio.open_connection(*address)
        second = await asyncio.open_connection(*address)
        for reader, _ in (first, second):
            assert (await reader.readline()).startswith(b"shardlayer-loadtest")
        reader, writer = await asyncio.open_connection(*address)
        assert await reader.read() == b""
        assert "2 others have not shown the key yet" in said[-1]
        writer.close()
        first[1].write(b"0" * 64 + b"\n" + b"x" * 20_000)
        await until(lambda: "is gone: LimitOverrunError" in said[-1])
        helper = await AgentHelper.connect("agent", address, KEY, lambda *_: None)  # in its place
        await helper.aclose()
        for _, writer in (first, second):
            writer.close()


async def test_a_process_that_can_t_start_takes_no_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next one may have it."""
    with monkeypatch.context() as without:
        without.setattr("sys.executable", "/nowhere/python")
        async with listening() as (address, said):
            for _ in range(2):
                with pytest.raises(LoadFailed):
                    await AgentHelper.connect("agent", address, KEY, lambda *_: None)
            assert all("FileNotFoundError" in each for each in said), said


@pytest.mark.parametrize("part", ["host", "path", "origin"])
async def test_agent_says_no_more_than_a_handshake(part: str) -> None:
    """What listens on the agent's machine may be a Redis, which takes lines."""
    target = {"address": "127.0.0.1", "port": 9, "path": "/ws/", "tls_name": ""}
    target |= {"host": "127.0.0.1:9", "origin": "http://127.0.0.1"}
    target[part] = f"{target[part]}\r\nFLUSHALL\r\n"
    async with listening() as (address, said):
        helper = await AgentHelper.connect("agent", address, KEY, lambda *_: None)
        try:
            with pytest.raises(LoadFailed):
                await helper.ask("setup", targets=[target], rooms=[], offset=0)
            await until(lambda: f"The target's {part} has what no address has" in said[-1])
        finally:
            await helper.aclose()
