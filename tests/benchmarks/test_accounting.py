from __future__ import annotations

import mmap
import os
import subprocess
import sys
import time

import pytest

from benchmarks.accounting import rss_bytes
from realtime.loadtest.process_look import cpu_ns

SIZE = 16 * 1024 * 1024  # bytes


def test_cpu_of_a_process_is_what_it_counts_itself() -> None:
    """The clock read from outside lies between two readings from inside."""
    before = time.process_time_ns()
    read = cpu_ns(os.getpid())
    assert before <= read <= time.process_time_ns()


def test_memory_grows_by_what_is_written() -> None:
    """Sixteen more megabytes in use are sixteen more megabytes resident."""
    before = rss_bytes(os.getpid())
    with mmap.mmap(-1, SIZE) as block:  # new pages, not ones that the allocator had kept
        block.write(os.urandom(1024) * (SIZE // 1024))
        grown = rss_bytes(os.getpid()) - before
    assert grown >= 0.8 * SIZE


def test_a_process_that_ended_is_said_to_be_gone() -> None:
    """A server that died is not taken for one that costs nothing."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with pytest.raises(ProcessLookupError, match="gone"):
        cpu_ns(process.pid)
