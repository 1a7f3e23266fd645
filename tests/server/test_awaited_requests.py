"""Who makes way for others, and for how long that may take."""

from __future__ import annotations

import math
import time

import pytest

from shardlayer.server.awaited_requests import CHECKS_TO_LEAVE, AwaitedRequests


class Waiting:
    """A connection whose client takes nothing."""

    patience = math.inf

    def __init__(self) -> None:
        self.calls: list[str] = []

    def give_up(self) -> None:
        self.calls.append("give up")

    def make_way(self) -> None:
        self.calls.append("make way")

    def abort(self) -> None:
        self.calls.append("abort")


def test_time() -> None:
    """It ends by checks, however long they take: a process that stood still has sent nothing."""
    waiting, one = AwaitedRequests(0), Waiting()
    waiting.begin(one)
    waiting.displace()
    for _ in range(CHECKS_TO_LEAVE):
        waiting.check(time.monotonic() + 1000)
    assert (one.calls, len(waiting)) == (["make way"], 1)
    waiting.check(time.monotonic())
    assert one.calls == ["make way", "abort"]
    waiting.end(one)
    assert len(waiting) == 0


def test_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where many leave, the first of them have a second, and each is ended once."""
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    waiting, many = AwaitedRequests(0, room=8), [Waiting() for _ in range(5)]  # so two may
    for each in many:
        waiting.begin(each)
    for _ in range(3):
        waiting.displace()
    assert [each.calls for each in many] == [["make way"]] * 3 + [[]] * 2  # all in one moment
    now = 1.5
    for _ in range(2):
        waiting.displace()
    assert [each.calls[1:] for each in many] == [["abort"], ["abort"], [], [], []]


def test_most() -> None:
    """No more than there is room for have time at all."""
    waiting, many = AwaitedRequests(0, room=4), [Waiting() for _ in range(6)]
    for each in many:
        waiting.begin(each)
    for _ in many:
        waiting.displace()
    assert [each.calls[1:] for each in many] == [["abort"], ["abort"], [], [], [], []]


def test_what_can_not_be_ended_keeps_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the others that are due end in the same check."""

    class Broken(Waiting):
        """A connection whose transport raises."""

        patience = 0.0

        def give_up(self) -> None:
            raise AttributeError("no transport any more")

        abort = give_up

    class Due(Waiting):
        patience = 0.0

    waiting = AwaitedRequests(0)
    leaving, left = Broken(), Waiting()
    for each in (leaving, left):
        waiting.begin(each)
        waiting.displace()
    broken, due = Broken(), Due()
    for each in (broken, due):
        waiting.begin(each)
    for _ in range(CHECKS_TO_LEAVE + 1):
        waiting.check(time.monotonic() + 1000)
    assert due.calls == ["give up"]
    assert left.calls == ["make way", "abort"]
    assert "A connection that waits for a request could not be ended" in caplog.text
