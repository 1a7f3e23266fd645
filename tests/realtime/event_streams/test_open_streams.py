"""The streams of one event loop: their comments, and how they are sent away."""

from __future__ import annotations

import pytest

from realtime.event_streams import open_streams
from realtime.event_streams.open_streams import LEAST_LEAVING, RETURN_WITHIN, OpenStreams
from tests.waiting import until


class Told:
    """A stream that notes what it is told."""

    def __init__(self) -> None:
        self.comments = 0
        self.waits: list[float] = []

    def comment(self) -> None:
        self.comments += 1

    def leave(self, code: int, reason: str, seconds: float) -> None:
        assert code == 1012
        self.waits.append(seconds)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A look each millisecond."""
    monkeypatch.setattr(open_streams, "LOOK", 0.001)


async def test_each_stream_gets_comments_unless_there_are_none() -> None:
    """After each pause all of them, and with 0 nobody."""
    streams, told, silent = OpenStreams(), Told(), OpenStreams()
    streams.add(told, 0.01)
    quiet = Told()
    silent.add(quiet, 0)
    await until(lambda: told.comments >= 3)
    assert quiet.comments == 0
    streams.remove(told)
    streams.remove(told)
    silent.remove(quiet)
    assert (len(streams), len(silent)) == (0, 0)


async def test_streams_leave_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each once, and each with a wait of its own; one look takes no more than its part."""
    left_before_look: list[int] = []
    look = OpenStreams._look

    def noted(streams: OpenStreams) -> None:
        left_before_look.append(len(streams))
        look(streams)

    monkeypatch.setattr(OpenStreams, "_look", noted)
    streams, everybody = OpenStreams(), [Told() for _ in range(3 * LEAST_LEAVING)]
    for told in everybody:
        streams.add(told, 0)
    streams.end()
    streams.end()
    await until(lambda: not len(streams))
    assert left_before_look[:3] == [3 * LEAST_LEAVING, 2 * LEAST_LEAVING, LEAST_LEAVING]
    waits = [wait for told in everybody for wait in told.waits]
    assert len(waits) == len(set(waits)) == len(everybody)
    assert 0 <= min(waits) < max(waits) <= RETURN_WITHIN
