"""What stands in scopes of the server."""

from __future__ import annotations

import copy
import pickle
from dataclasses import dataclass

from shardlayer.core.types import Worker
from shardlayer.server.worker_view import WorkerView


@dataclass
class FakeServer:
    """What is viewed."""

    is_draining: bool = False
    held: int = 3
    capacity: int = 3
    is_joined: bool = True
    warns: bool = False
    drains: bool = False

    @property
    def is_full(self) -> bool:
        return self.held >= self.capacity

    def drain(self) -> None:
        self.drains = True

    def warn_of_blocking(self) -> None:
        self.warns = True


def test_it_shows_the_server_as_it_is_now() -> None:
    """Nothing is kept."""
    server = FakeServer()
    view: Worker = WorkerView(server)
    assert (view.is_draining, view.held, view.capacity, view.is_full) == (False, 3, 3, True)
    assert (view.is_joined,) == (True,)
    server.is_draining, server.held, server.is_joined = True, 2, False
    assert (view.is_draining, view.held, view.is_full, view.is_joined) == (True, 2, False, False)
    view.warn_of_blocking()
    assert server.warns
    view.drain()
    assert server.drains


def test_scopes_are_copied_and_pickled() -> None:
    """A copy is the same, and nothing of the server is pickled."""
    view = WorkerView(FakeServer())
    scope = {"extensions": {"shardlayer": {"worker": view}}}
    for copied in (copy.copy(scope), copy.deepcopy(scope)):
        assert copied["extensions"]["shardlayer"]["worker"] is view
    assert pickle.loads(pickle.dumps(scope)) == {"extensions": {"shardlayer": {"worker": None}}}
