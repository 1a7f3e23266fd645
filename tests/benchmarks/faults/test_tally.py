"""The account of one client's numbers finds whatever is not as promised."""

from __future__ import annotations

import pytest

from benchmarks.faults.clients.tally import Sequence, Tally


def judged(numbers: list[int | str], end: int) -> dict[str, int]:
    """Return what is counted other than 0 when these numbers come, "told" in between."""
    sequence, tally = Sequence(), Tally(begun=0)
    for number in numbers:
        if isinstance(number, str):
            sequence.anew = True
        else:
            sequence.take(number, sent=0, now=0, tally=tally)
    sequence.close(end, tally)
    assert tally.delivered == sum(isinstance(number, int) for number in numbers)
    names = ("lost", "twice", "misordered", "told")
    return {name: getattr(tally, name) for name in names if getattr(tally, name)}


@pytest.mark.parametrize(
    ("numbers", "end", "counts"),
    [
        ([0, 1, 2], 3, {}),
        ([0, 2], 3, {"lost": 1}),
        ([0, 1], 3, {"lost": 1}),
        ([], 3, {"lost": 3}),
        ([0, 1, 1, 2], 3, {"twice": 1}),
        ([0, 1, 2, 0], 3, {"twice": 1}),
        ([0, 2, 1], 3, {"misordered": 1}),
        ([0, 2, 1, 1], 3, {"misordered": 1, "twice": 1}),
        ([0, "told", 3], 4, {"told": 2}),
        ([0, 1, "told"], 4, {"told": 2}),
        ([0, 1, "told", 1, 2], 3, {"told": 1}),
        ([0, "told", 1, 3], 4, {"lost": 1}),
        ([0, 2, "told", 3], 4, {"lost": 1}),
    ],
)
def test_each_number_once_and_in_order(
    numbers: list[int | str], end: int, counts: dict[str, int]
) -> None:
    """A number that is missing, comes again or late is counted as that, once."""
    assert judged(numbers, end) == counts


def test_what_is_counted_is_not_counted_in_the_next_slice() -> None:
    """A slice begins where the one before ended; what comes late then comes twice."""
    sequence, tally = Sequence(), Tally(begun=0)
    sequence.take(0, sent=0, now=0, tally=tally)
    sequence.close(2, tally)
    following = Tally(begun=0)
    sequence.take(2, sent=0, now=0, tally=following)
    sequence.close(3, following)
    assert (tally.lost, following.lost, following.twice) == (1, 0, 0)
    sequence.take(1, sent=0, now=0, tally=following)
    assert following.twice == 1


def test_completeness() -> None:
    """Nothing more is waited for when all is there, or the client was told."""
    sequence, tally = Sequence(), Tally(begun=0)
    assert not sequence.complete(2)
    sequence.take(1, sent=0, now=0, tally=tally)
    assert not sequence.complete(2)
    sequence.take(0, sent=0, now=0, tally=tally)
    assert sequence.complete(2)
    sequence.anew = True
    assert sequence.complete(5)


def test_pauses_begin_with_the_slice_and_with_the_mending() -> None:
    """What stood still before the slice began, or before all was mended, is not that one's."""
    sequence, tally = Sequence(last=10), Tally(begun=100)
    sequence.take(0, sent=0, now=130, tally=tally)
    assert (tally.pause, tally.pause_mended) == (30, 0)
    tally.mended = 150
    sequence.take(1, sent=0, now=200, tally=tally)
    assert (tally.pause, tally.pause_mended) == (70, 50)


def test_all_is_well_when_everybody_has_something_new() -> None:
    """What was sent before the mending says nothing."""
    first, second, tally = Sequence(), Sequence(), Tally(begun=0)
    tally.mended, tally.waiting = 100, 2
    first.fresh = second.fresh = False
    first.take(0, sent=101, now=110, tally=tally)
    second.take(0, sent=99, now=120, tally=tally)
    first.take(1, sent=102, now=130, tally=tally)
    assert (tally.waiting, tally.well) == (1, None)
    second.take(1, sent=103, now=140, tally=tally)
    second.take(2, sent=104, now=150, tally=tally)
    assert (tally.waiting, tally.well) == (0, 140)


def test_pause_of_a_client_that_never_hears_again_is_not_over() -> None:
    """How long it was up to the last message says nothing."""
    heard, deaf, tally = Sequence(), Sequence(), Tally(begun=0)
    tally.mended, tally.waiting = 100, 2
    heard.fresh = deaf.fresh = False
    heard.take(0, sent=101, now=1_000_100, tally=tally)
    times = ("pause_ms", "pause_mended_ms", "well_ms")
    assert [tally.account()[name] for name in times] == [None, None, None]
    deaf.take(0, sent=102, now=2_000_100, tally=tally)
    assert [tally.account()[name] for name in times] == [2.0001, 2.0, 2.0]


def test_slice_without_a_repair_has_its_pause() -> None:
    """Nobody waits for anything new then."""
    sequence, tally = Sequence(), Tally(begun=0)
    sequence.take(0, sent=1, now=3_000_000, tally=tally)
    account = tally.account()
    assert (account["pause_ms"], account["pause_mended_ms"], account["well_ms"]) == (3.0, 0.0, None)
