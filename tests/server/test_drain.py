"""Clients are sent away a few at a time."""

from __future__ import annotations

from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.server import drain
from shardlayer.server.drain import RETURN_WITHIN, SLICE_PAUSE, send_away, slices
from shardlayer.server.host import WebSocket


@given(st.integers(0, 100_000), st.floats(0, 120))
def test_slices_take_all_and_share_alike(total: int, seconds: float) -> None:
    """All go, no two slices differ by more than one, and the time is not exceeded."""
    sizes = list(slices(total, seconds))
    assert sum(sizes) == total
    assert max(sizes) - min(sizes) <= 1
    assert (len(sizes) - 1) * SLICE_PAUSE <= seconds


@pytest.mark.parametrize(
    ("total", "seconds", "count", "largest"),
    [
        (2000, 10, 100, 20),  # 200 a second
        (50_000, 10, 100, 500),
        (2000, 0, 1, 2000),
        (100, 10, 10, 10),  # a second is enough for these
        (3, 10, 1, 3),
        (0, 10, 1, 0),
    ],
)
def test_pace(total: int, seconds: float, count: int, largest: int) -> None:
    """Many take the whole time, few go at the lowest rate."""
    sizes = list(slices(total, seconds))
    assert (len(sizes), max(sizes)) == (count, largest)


class Client:
    """Notes what it is told."""

    def __init__(self, told: list[float], *, fails: bool = False) -> None:
        self.aborted = False
        self._told = told
        self._fails = fails

    def go_away(self, seconds: float) -> None:
        if self._fails:
            raise ValueError("as it should")
        self._told.append(seconds)

    def abort(self) -> None:
        self.aborted = True


async def test_each_has_its_own_delay(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every client is told once, and the delays lie all over the time that they have."""
    monkeypatch.setattr(drain, "SLICE_PAUSE", 0.001)
    told: list[float] = []
    clients: Any = [Client(told) for _ in range(400)]
    await send_away(cast(list[WebSocket], clients), 0.01)
    assert len(told) == 400
    assert 0 <= min(told) < RETURN_WITHIN * 0.2
    assert RETURN_WITHIN * 0.8 < max(told) <= RETURN_WITHIN
    assert len(set(told)) > 390


async def test_last_words_that_fail_cost_one_client(caplog: pytest.LogCaptureFixture) -> None:
    """The error is logged, its connection is cut, and the others are sent away."""
    told: list[float] = []
    clients: Any = [Client(told), Client(told, fails=True), Client(told)]
    await send_away(cast(list[WebSocket], clients), 0)
    assert len(told) == 2
    assert [client.aborted for client in clients] == [False, True, False]
    assert "could not be told that the server stops" in caplog.text
