"""When a client is pinged, and when it is given up."""

from __future__ import annotations

from shardlayer.server.keepalive import Due, Keepalive


def test_silence_is_pinged() -> None:
    """A client that was silent for longer than the interval is pinged once."""
    keepalive = Keepalive(100.0)
    assert keepalive.check(120.0, interval=20, timeout=30) is Due.NOTHING
    assert keepalive.check(120.5, interval=20, timeout=30) is Due.PING
    assert keepalive.check(145.0, interval=20, timeout=30) is Due.NOTHING


def test_unanswered_ping_gives_up() -> None:
    """A ping that stays unanswered for longer than the timeout ends it."""
    keepalive = Keepalive(100.0)
    keepalive.check(121.0, interval=20, timeout=30)
    assert keepalive.check(151.0, interval=20, timeout=30) is Due.NOTHING
    assert keepalive.check(151.5, interval=20, timeout=30) is Due.GIVE_UP


def test_anything_heard_answers() -> None:
    """Whatever the client sends starts the interval anew."""
    keepalive = Keepalive(100.0)
    keepalive.check(121.0, interval=20, timeout=30)
    keepalive.heard(130.0)
    assert keepalive.check(150.0, interval=20, timeout=30) is Due.NOTHING
    assert keepalive.check(151.0, interval=20, timeout=30) is Due.PING


def test_without_timeout_pings_go_on() -> None:
    """With a timeout of 0 nobody is given up, and pings come each interval."""
    keepalive = Keepalive(100.0)
    due = [keepalive.check(now, interval=20, timeout=0) for now in (121.0, 130.0, 142.0)]
    assert due == [Due.PING, Due.NOTHING, Due.PING]
