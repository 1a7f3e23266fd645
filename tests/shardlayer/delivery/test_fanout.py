"""One broadcast to many sinks, whatever some of them do."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence

import pytest

from shardlayer.core.frames import Broadcast
from shardlayer.core.types import Sink
from shardlayer.delivery.fanout import fan_out
from tests.shardlayer.fakes import BrokenSink, RecordingSink

BROADCAST = Broadcast([b"hello"])
SIZE = len(BROADCAST.frames)

Outcome = int | Exception


class DirectSink(RecordingSink):
    """Shows its send, which takes so many bytes or raises; remembers what it was settled with."""

    def __init__(self, outcome: Outcome = SIZE, settling: Exception | None = None) -> None:
        super().__init__()
        self.outcome = outcome
        self.settling = settling
        self.sends: list[bytes] = []
        self.settled: list[tuple[bytes, int, Exception | None]] = []

    def send_frames(self, frames: bytes) -> int:
        self.sends.append(frames)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome

    def settle(self, frames: bytes, sent: int, error: Exception | None) -> None:
        self.settled.append((frames, sent, error))
        if self.settling is not None:
            raise self.settling


class FullSink(DirectSink):
    """Can take nothing now, and remembers nothing of it."""

    def send_frames(self, frames: bytes) -> int:
        raise BlockingIOError

    def settle(self, frames: bytes, sent: int, error: Exception | None) -> None:
        pass


def write(sinks: Sequence[Sink]) -> list[tuple[Sink, Exception]]:
    return fan_out(sinks, BROADCAST)


@pytest.mark.parametrize("count", [1, 5])
def test_each_gets_one_send_and_needs_nothing_else(count: int) -> None:
    """Sinks that take everything are not looked at again."""
    sinks = [DirectSink() for _ in range(count)]
    assert write(sinks) == []
    assert [sink.sends for sink in sinks] == [[BROADCAST.frames]] * count
    assert [sink.settled for sink in sinks] == [[]] * count
    assert [sink.writes for sink in sinks] == [0] * count


@pytest.mark.parametrize(("odd", "count"), [(0, 5), (2, 5), (4, 5), (0, 1)])
@pytest.mark.parametrize("outcome", [0, 3, BlockingIOError(), ConnectionResetError(), ValueError()])
def test_one_that_takes_less_is_settled_with(odd: int, count: int, outcome: Outcome) -> None:
    """A short send or an error, wherever it comes, is that sink's own; the others get theirs."""
    sinks = [DirectSink(outcome if index == odd else SIZE) for index in range(count)]
    assert write(sinks) == []
    assert [len(sink.sends) for sink in sinks] == [1] * count
    told = (0, outcome) if isinstance(outcome, Exception) else (outcome, None)
    assert sinks[odd].settled == [(BROADCAST.frames, *told)]
    assert [sink.settled for sink in sinks if sink is not sinks[odd]] == [[]] * (count - 1)


def test_all_may_raise() -> None:
    """Errors next to each other are each told to their own sink."""
    errors = [BlockingIOError(), OSError(), BlockingIOError()]
    sinks = [DirectSink(error) for error in errors]
    assert write(sinks) == []
    assert [sink.settled for sink in sinks] == [[(BROADCAST.frames, 0, error)] for error in errors]


def test_who_cannot_be_settled_with_failed() -> None:
    """A sink that raises then is returned; those behind it are settled with."""
    broken, full = DirectSink(0, settling=OSError("gone")), DirectSink(0)
    assert write([broken, DirectSink(), full]) == [(broken, broken.settling)]
    assert len(full.settled) == 1


@pytest.mark.parametrize("outcome", [0, OSError("gone")])
def test_only_one_that_cannot_be_settled_with(outcome: Outcome) -> None:
    """It failed as one of many does."""
    broken = DirectSink(outcome, settling=ValueError("lost"))
    assert write([broken]) == [(broken, broken.settling)]


def test_only_one_that_shows_no_send() -> None:
    """It is asked to write."""
    plain, broken = RecordingSink(), BrokenSink()
    assert write([plain]) == []
    assert plain.texts == [b"hello"]
    assert [sink for sink, _ in write([broken])] == [broken]


def test_sinks_that_show_no_send_are_asked_to_write() -> None:
    """Where one sink is of another kind all are written to in turn; who raises is returned."""
    direct, plain, broken, last = DirectSink(), RecordingSink(), BrokenSink(), RecordingSink()
    failures = write([direct, plain, broken, last])
    assert [sink for sink, _ in failures] == [broken]
    assert direct.sends == []
    assert [sink.texts for sink in (direct, plain, last)] == [[b"hello"]] * 3


def test_sends_that_end_an_iteration_are_settled_with() -> None:
    """StopIteration, which would end the writing to all behind it, is like nothing sent."""
    sinks = [DirectSink(), DirectSink(StopIteration()), DirectSink()]
    assert write(sinks) == []
    assert [sink.settled for sink in sinks[1:]] == [[(BROADCAST.frames, 0, None)]] * 2


@pytest.mark.parametrize("others", [0, 1])
def test_errors_keep_no_sink(others: int) -> None:
    """What raised is forgotten with its sink, without the collector, which may run rarely."""
    sinks = [FullSink(), *(DirectSink() for _ in range(others))]
    gone = weakref.ref(sinks[0])
    gc.disable()
    try:
        write(sinks)
        sinks.clear()
        assert gone() is None
    finally:
        gc.enable()


def test_nobody_is_no_error() -> None:
    """A slice whose members have all left."""
    assert write([]) == []
