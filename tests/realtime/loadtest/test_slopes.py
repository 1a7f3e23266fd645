"""How fast something grows, and what the operating system says of a process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from realtime.loadtest.process_look import cpu_seconds, look_at_process, machine_ticks
from realtime.loadtest.slopes import slope_an_hour

OPENS_A_SOCKET = """
import socket, sys
print("ready", flush=True)
sys.stdin.readline()
one = socket.socket()
print("open", flush=True)
sys.stdin.read()
"""


def test_slope_is_that_of_the_line() -> None:
    """One a second is 3,600 an hour."""
    assert slope_an_hour([(10, 5), (11, 6), (12, 7)]) == pytest.approx(3600)
    assert slope_an_hour([(0, 4), (60, 4), (120, 4)]) == 0


@pytest.mark.parametrize("points", [[], [(0, 1), (1, 2)], [(1, 1), (1, 2), (1, 3)]])
def test_too_few_points_have_no_slope(points: list[tuple[float, float]]) -> None:
    """A limit on it is not kept then, as nothing was measured."""
    assert slope_an_hour(points) is None


def test_process_is_looked_at() -> None:
    """A socket more is a descriptor more; in that process no other test's thread closes one."""
    with subprocess.Popen(
        [sys.executable, "-c", OPENS_A_SOCKET],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        before = look_at_process(child.pid)
        child.stdin.write("open\n")
        child.stdin.flush()
        assert child.stdout.readline() == "open\n"
        after = look_at_process(child.pid)
    assert before is not None
    assert after is not None
    assert after.descriptors == before.descriptors + 1
    assert look_at_process(2**22 + 1) is None  # Linux has no such number


def test_cpu_of_a_process_that_is_gone_is_an_error() -> None:
    """It is not 0."""
    assert cpu_seconds(os.getpid()) > 0
    with pytest.raises(ProcessLookupError):
        cpu_seconds(2**22 + 1)
    busy, ticks = machine_ticks()
    assert 0 < busy <= ticks
