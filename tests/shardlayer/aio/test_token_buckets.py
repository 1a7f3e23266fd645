"""Token buckets, one and many."""

from __future__ import annotations

import pytest

from shardlayer.aio.token_buckets import Bucket, BucketTable
from tests.shardlayer.fakes import FakeClock


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """The time that the buckets see."""
    clock = FakeClock()
    monkeypatch.setattr("shardlayer.aio.token_buckets.monotonic", clock)
    return clock


class TestBucket:
    """One bucket."""

    def test_fills_at_its_rate(self, clock: FakeClock) -> None:
        """It begins full, and gets its rate a second, up to the burst."""
        bucket = Bucket(2.0, 3.0)
        full_at = 0.0

        def take(count: float = 1.0) -> bool:
            nonlocal full_at
            taken = bucket.take(full_at, count)
            full_at = full_at if taken is None else taken
            return taken is not None

        assert [take() for _ in range(4)] == [True, True, True, False]
        clock.advance(0.5)
        assert [take() for _ in range(2)] == [True, False]
        clock.advance(1_000.0)
        assert [take(4), take(3), take()] == [False, True, False]

    @pytest.mark.parametrize("now", [16354.28928805293, 7275.968631893454])
    def test_a_full_bucket_is_full_at_any_time(self, clock: FakeClock, now: float) -> None:
        """Also where adding its time to the clock and taking it away again adds a little."""
        clock.advance(now - clock())
        assert (clock() + 1_000.0) - clock() > 1_000.0
        assert Bucket(0.001, 1.0).take(0.0) is not None

    def test_rate_of_nothing_is_no_limit(self) -> None:
        """0: always enough."""
        assert Bucket(0, 1).take(0.0, 1_000_000) is not None


class TestTable:
    """A bucket for each key."""

    def test_each_key_has_its_own(self, clock: FakeClock) -> None:
        """What one takes is not missing from another's."""
        table = BucketTable[str](Bucket(1.0, 2.0))
        assert [table.take("a") for _ in range(3)] == [True, True, False]
        assert table.take("b", 2.0)
        clock.advance(1.0)
        assert [table.take("a"), table.take("a"), table.take("b")] == [True, False, True]

    def test_full_buckets_are_forgotten(self, clock: FakeClock) -> None:
        """Whoever comes finds those that are full again, and they go."""
        table = BucketTable[int](Bucket(1.0, 2.0))
        for key in range(1_000):
            table.take(key)
        assert len(table) == 1_000
        clock.advance(2.0)
        for key in range(1_000, 2_000):
            table.take(key)
        assert len(table) == 1_000

    def test_there_are_never_more_than_so_many(self) -> None:
        """Past that, the one that was used longest ago counts as full."""
        table = BucketTable[int](Bucket(1.0, 1.0), most=3)
        assert all(table.take(key) for key in range(3))
        assert not table.take(0)
        assert table.take(3)
        assert len(table) == 3
        assert not table.take(0)
        assert table.take(1)

    def test_rate_of_nothing_keeps_nothing(self) -> None:
        """0: always enough, and nobody is remembered."""
        table = BucketTable[str](Bucket(0.0, 1.0))
        assert all(table.take("a") for _ in range(1_000))
        assert len(table) == 0
