"""How many things a key has."""

from __future__ import annotations

from shardlayer.aio.tallies import Tally


def test_a_key_has_as_many_as_it_may() -> None:
    """Past that it is told no, and what others have makes no difference."""
    tally = Tally[str](2)
    assert [tally.enter("a") for _ in range(3)] == [True, True, False]
    assert tally.enter("b")
    tally.leave("a")
    assert [tally.enter("a"), tally.enter("a")] == [True, False]


def test_keys_without_things_are_forgotten() -> None:
    """Whoever left everything leaves nothing here."""
    tally = Tally[int](0)
    for key in range(1_000):
        assert tally.enter(key)
        assert tally.enter(key)
        tally.leave(key)
        tally.leave(key)
    assert len(tally) == 0
