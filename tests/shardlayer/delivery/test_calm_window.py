"""What waits in a calm room, and what members then know of offsets."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shardlayer.core.types import CalmPolicy, Publication
from shardlayer.delivery.calm_window import HELD_BYTES, Calmed, CalmWindow

JOINED = CalmPolicy(max_rate=4)
BY_SYMBOL = CalmPolicy(max_rate=4, conflate="symbol")


def price(offset: int, symbol: object, epoch: str = "e") -> Publication:
    return Publication("prices", orjson.dumps({"symbol": symbol, "n": offset}), offset, epoch)


def shown(window: CalmWindow, now: float = 0.0) -> list[tuple[int, int | None]]:
    """Return offset and `after` of what is taken."""
    return [(publication.offset, after) for publication, after, _ in window.take(now)]


def test_joined_room_loses_nothing() -> None:
    """All that came waits, in order, and each follows the one before."""
    window = CalmWindow(JOINED)
    for offset in (5, 6, 7):
        window.add(price(offset, "a"))
    assert shown(window, 10.0) == [(5, None), (6, None), (7, None)]
    assert window.conflated == 0
    assert window.due == 10.25
    assert len(window) == window.size == 0


def test_only_the_newest_of_each_key_is_written() -> None:
    """In the order of offsets; each says what it follows where that is not the one before."""
    window = CalmWindow(BY_SYMBOL)
    for offset, symbol in ((44, "a"), (45, "b"), (46, "c"), (47, "a"), (48, "b")):
        window.add(price(offset, symbol))
    assert shown(window) == [(46, 43), (47, None), (48, None)]
    assert window.conflated == 2


def test_one_of_a_window_follows_as_usual() -> None:
    """Nothing was left out, so nothing is said of it."""
    window = CalmWindow(BY_SYMBOL)
    window.add(price(44, "a"))
    assert shown(window) == [(44, None)]


@pytest.mark.parametrize("data", [b"7", b"[1]", b'"text"', b"{}", b'{"symbol":[1]}', b"{broken}"])
def test_what_has_no_key_is_not_conflated(data: bytes) -> None:
    """Each is written, whatever it is."""
    window = CalmWindow(BY_SYMBOL)
    window.add(Publication("prices", data, 1, "e"))
    window.add(Publication("prices", data, 2, "e"))
    assert shown(window) == [(1, None), (2, None)]


def test_keys_of_two_types_are_two() -> None:
    """1, "1", true and null are not one."""
    window = CalmWindow(BY_SYMBOL)
    for offset, symbol in enumerate((1, "1", True, 1.0), 1):
        window.add(price(offset, symbol))
    assert len(window) == 4


def test_room_without_history_has_no_offsets() -> None:
    """Then nothing is followed."""
    window = CalmWindow(BY_SYMBOL)
    for _ in range(3):
        window.add(price(0, "a", ""))
    assert shown(window) == [(0, None)]


def test_what_waits_is_bounded() -> None:
    """Past so many bytes the room is to be written now; what was replaced does not count."""
    window = CalmWindow(BY_SYMBOL)
    large = orjson.dumps({"symbol": "a", "x": "y" * (HELD_BYTES - 100)})
    for offset in range(1, 10):
        window.add(Publication("prices", large, offset, "e"))
    assert not window.is_full
    window.add(Publication("prices", large.replace(b'"a"', b'"b"'), 10, "e"))
    assert window.is_full


def test_what_comes_again_waits_already() -> None:
    """A history that is read again does not bring it twice."""
    window = CalmWindow(JOINED)
    for offset in (1, 2, 2, 1, 3):
        window.add(price(offset, "a"))
    assert [offset for offset, _ in shown(window)] == [1, 2, 3]


@given(
    symbols=st.lists(st.sampled_from("abcd"), min_size=1, max_size=60),
    pauses=st.sets(st.integers(1, 60)),
    cut=st.integers(0, 60),
)
def test_member_that_comes_back_has_the_newest_of_each_key(
    symbols: list[str], pauses: set[int], cut: int
) -> None:
    """Wherever it stopped, the history behind its position brings what it lacks of each key."""
    window = CalmWindow(BY_SYMBOL)
    pushed: list[Calmed] = []
    for offset, symbol in enumerate(symbols, 1):
        window.add(price(offset, symbol))
        if offset in pauses:
            pushed += window.take(0.0)
    pushed += window.take(0.0)
    position, has = 0, dict[str, int]()
    for publication, after, _ in pushed[:cut]:
        assert (publication.offset - 1 if after is None else after) == position
        position = publication.offset
        has[symbols[position - 1]] = position
    for offset, symbol in enumerate(symbols[position:], position + 1):
        has[symbol] = offset  # from the history
    assert has == {symbol: offset for offset, symbol in enumerate(symbols, 1)}
