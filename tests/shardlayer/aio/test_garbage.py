"""The collector is set for as long as a process does its main job, and no longer."""

from __future__ import annotations

import gc
import subprocess
import sys

from shardlayer import spare_collections
from shardlayer.aio.garbage import no_collections
from tests.conftest import pytest_collection_finish


def test_collector_is_spared_within_the_context_and_as_before_after_it() -> None:
    """Commands run in processes of others, too: in a test, or by call_command."""
    before = gc.get_threshold()
    gc.unfreeze()
    try:
        with spare_collections(12_345):
            assert gc.get_threshold() == (12_345, *before[1:])
            assert gc.get_freeze_count() > 1_000
        assert gc.get_threshold() == before
        assert gc.get_freeze_count() == 0
    finally:
        pytest_collection_finish()  # as it was before this test


def test_what_others_have_frozen_stays_so() -> None:
    """As a server does before it forks; or a context around this one."""
    gc.freeze()
    before = gc.get_freeze_count()
    with spare_collections(12_345):
        pass
    assert gc.get_freeze_count() > before / 2  # some are gone meanwhile


def test_threshold_of_nothing_leaves_the_collector_alone() -> None:
    """0 turns it off."""
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    new: list[list[int]] = [[] for _ in range(1_000)]
    with spare_collections(0):
        assert gc.get_threshold() == before
        assert gc.get_freeze_count() <= frozen  # some may be gone meanwhile
    assert len(new) == 1_000  # they lived until here


def test_process_that_exits_quickly() -> None:
    """What was loaded is left out of the search for garbage at the end."""
    program = """
import atexit, gc
from shardlayer.aio.garbage import exit_quickly

atexit.register(lambda: print(gc.get_freeze_count() > 1_000))  # runs last, as it came first
exit_quickly()
print(gc.get_freeze_count() > 1_000)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == ["False", "True"]


def test_nothing_is_collected_while_all_is_imported() -> None:
    """The collector goes on as it was, unless what was imported sets it."""
    before = gc.get_threshold()
    with no_collections():
        assert gc.get_threshold()[0] == 0  # never
    assert gc.get_threshold() == before
    try:
        with no_collections():
            gc.set_threshold(12_345)
        assert gc.get_threshold()[0] == 12_345
    finally:
        gc.set_threshold(*before)
