"""Answers that count for a time."""

from __future__ import annotations

from realtime.access.answers import Answers


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_an_answer_counts_for_its_time() -> None:
    """Yes and no alike; then it is forgotten."""
    clock = Clock()
    answers = Answers(10, clock)
    assert answers.recall("a") is None
    answers.keep("a", True, 10)
    answers.keep("b", False, 5)
    clock.now += 4.9
    assert (answers.recall("a"), answers.recall("b")) == (True, False)
    clock.now += 0.2
    assert (answers.recall("a"), answers.recall("b")) == (True, None)
    answers.forget()
    assert answers.recall("a") is None


def test_there_are_never_too_many() -> None:
    """The one that was kept first goes; a repeated one counts as new."""
    answers = Answers(2)
    answers.keep("a", True, 10)
    answers.keep("b", True, 10)
    answers.keep("a", True, 10)
    answers.keep("c", True, 10)
    assert [answers.recall(name) for name in "abc"] == [True, None, True]


def test_nothing_is_kept_where_that_is_off() -> None:
    """Neither of no seconds, nor where none may be kept."""
    answers = Answers(10)
    answers.keep("a", True, 0)
    none = Answers(0)
    none.keep("a", True, 10)
    assert answers.recall("a") is none.recall("a") is None
