"""Choosing and asking loopback ports."""

from __future__ import annotations

import random
import socket

from demo.embedded.ports import CHOICE, LOOPBACK, answers, free_port, is_free


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
