"""Choosing and asking loopback ports."""

from __future__ import annotations

import gc
import random
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import CHOICE, LOOPBACK, answers, free_port, is_free, reserve

linux = pytest.mark.skipif(sys.platform != "linux", reason="nothing is reserved elsewhere")


def reserved_elsewhere(port: int) -> bool:
    """Say whether another process is given this port when it asks for it."""
    code = f"import sys; from demo.embedded.ports import reserve; sys.exit(not reserve({port}))"
    return subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_free_port_can_be_listened_on() -> None:
    """What is called free takes a listener, and then is neither free nor silent."""
    port = free_port()
    with socket.create_server((LOOPBACK, port)):
        assert answers(port)
        assert not is_free(port)
    assert is_free(port)
    assert not answers(port)


def test_choice_is_none_of_the_kernel() -> None:
    """A client's own port is never one that a server will come back to."""
    with socket.create_server((LOOPBACK, 0)) as server:
        assert server.getsockname()[1] not in CHOICE
    assert free_port() in CHOICE


def test_processes_with_one_seed_choose_differently() -> None:
    """Tests that run side by side are seeded alike, and must not race for the same ports."""
    chosen = set()
    for _ in range(5):
        random.seed(1)
        chosen.add(free_port())
    assert len(chosen) > 1


@linux
def test_stopped_server_keeps_its_port(tmp_path: Path) -> None:
    """Nobody is given it, and nothing but a server that was told to can take it."""
    with EmbeddedValkey(directory=tmp_path) as server:
        assert not reserved_elsewhere(server.port)
    assert not answers(server.port)
    assert not reserved_elsewhere(server.port)
    with socket.socket() as stranger, pytest.raises(OSError, match="in use"):
        stranger.bind((LOOPBACK, server.port))
    server.start()
    server.stop()


@linux
def test_port_goes_with_its_owner() -> None:
    """A process that starts many servers does not keep the ports of all."""

    class Owner:
        pass

    owner = Owner()
    port = free_port(owner)
    assert not reserve(port)
    del owner
    gc.collect()
    assert reserve(port)


def test_second_port_of_a_cluster_node_is_nobodys_first() -> None:
    """A node listens 10,000 ports higher as well, which is neither given away nor the kernel's."""
    assert not set(CHOICE) & {port + 10_000 for port in CHOICE}
    assert max(CHOICE) + 10_000 < 32_768
