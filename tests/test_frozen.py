"""The helper that stops processes."""

from __future__ import annotations

import subprocess
import sys

import psutil

from tests.frozen import frozen
from tests.waiting import PATIENCE, wait_until

ECHO = (sys.executable, "-c", "print(input())")


def test_all_others_run_again_though_some_have_ended() -> None:
    """One before they are stopped, one while they are."""
    children = [
        subprocess.Popen(ECHO, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    ended, ending, staying = children
    try:
        ended.kill()
        ended.wait(PATIENCE)
        with frozen([child.pid for child in children]):
            process = psutil.Process(staying.pid)
            wait_until(lambda: process.status() == psutil.STATUS_STOPPED, within=PATIENCE)
            ending.kill()
            ending.wait(PATIENCE)
        said, _ = staying.communicate("it runs\n", timeout=PATIENCE)
        assert said == "it runs\n"
    finally:
        for child in children:
            child.kill()
            child.communicate()
