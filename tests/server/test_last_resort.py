"""What says where a thread stands, and ends the process."""

from __future__ import annotations

import subprocess
import sys
import threading

from shardlayer.server.last_resort import stack_of
from tests.waiting import PATIENCE, wait_until

HOLDS_THE_LOG = """
import logging, threading, time
from shardlayer.server.last_resort import end_after
logging.basicConfig()
end_after(0.1, "It is over.")
logging.getLogger().handlers[0].acquire()  # as a thread does that hangs while it writes
time.sleep(60)
"""

NO_THREADS = """
import logging, sys, threading, time
from shardlayer.server.last_resort import end_after, end_process

def start(thread):
    raise RuntimeError("can't start new thread")

logging.basicConfig()
threading.Thread.start = start
end_after(0.1, "It is over.")
print("goes on", flush=True)
end_process("It hangs.", threading.get_ident())
"""


def test_stack_of_a_thread() -> None:
    """It names the function that runs."""
    stop = threading.Event()

    def stand_here() -> None:
        stop.wait()

    thread = threading.Thread(target=stand_here)
    thread.start()
    try:
        assert thread.ident is not None
        ident = thread.ident
        wait_until(lambda: "in stand_here" in stack_of(ident))
    finally:
        stop.set()
        thread.join()
    assert stack_of(thread.ident) == "  (it has ended)\n"


def test_stack_within_a_package() -> None:
    """What called into the package is left out."""
    whole = stack_of(threading.get_ident())
    package = "_pytest"
    part = stack_of(threading.get_ident(), within=package)
    assert f"/{package}/" in whole
    assert f"/{package}/" not in part
    assert "test_stack_within_a_package" in part
    everything = stack_of(threading.get_ident(), within="nowhere")
    assert len(everything.splitlines()) == len(whole.splitlines())


def test_process_ends_though_the_log_is_stuck() -> None:
    """Who hangs while it holds the log's lock does not hold up the end."""
    done = subprocess.run(
        [sys.executable, "-c", HOLDS_THE_LOG], timeout=PATIENCE, check=False, capture_output=True
    )
    assert done.returncode == 1


def test_process_ends_though_no_thread_can_be_started() -> None:
    """The one that hangs ends; the one that was to end later goes on, and says so."""
    done = subprocess.run(
        [sys.executable, "-c", NO_THREADS],
        timeout=PATIENCE,
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "goes on\n"
    assert "Nothing ends this process after 0.1 s." in done.stderr
    assert done.returncode == 1
