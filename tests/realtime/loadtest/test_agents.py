"""Agents: clients of another machine, for who has the key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from demo.embedded import free_port
from realtime.loadtest.agents.signed_lines import (
    TO_AGENT,
    TO_COMMAND,
    BadSignature,
    SignedLines,
)
from tests.realtime.loadtest.load_site import LoadSite
from tests.realtime.process import Process, manage

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
