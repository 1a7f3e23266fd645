"""What is remembered of who was signed out, and what it says of tokens, notes and rooms."""

from __future__ import annotations

from math import inf

import pytest

from realtime.access.credential import NOBODY, Credential
from realtime.access.revocations import (
    CLOCK_SKEW,
    MAX_REVOCATIONS,
    Revocation,
    Revocations,
    Verdict,
)

NOW = 1_000_000.0
LIFETIME = 3_600.0


def known(*entries: Revocation, since: float = 0.0) -> Revocations:
    """Return what a process knows that has read these entries of a log."""
    revocations = Revocations(LIFETIME)
    for entry in entries:
        revocations.learn(entry, NOW)
    revocations.complete_since(since)
    return revocations


def token(issued: float = NOW - 10, **more: str) -> Credential:
    """Return what ada's token says, of that time."""
    return Credential(method="token", user_id="7", issued=issued, **more)  # type: ignore[arg-type]


def test_who_was_not_signed_out_is_in() -> None:
    """Others' revocations are no business of a credential, and nobody can't be signed out."""
    others = known(
        Revocation(at=NOW, user="8"),
        Revocation(at=NOW, session="other"),
        Revocation(at=NOW, user="7", room="orders"),
    )
    assert others.judge(token(session="mine"), NOW) is Verdict.COUNTS
    assert others.judge(NOBODY, NOW) is Verdict.COUNTS


@pytest.mark.parametrize(
    ("issued", "verdict"),
    [
        (NOW - 10, Verdict.REVOKED),
        (NOW - 5, Verdict.REVOKED),
        (NOW - 5 + CLOCK_SKEW / 2, Verdict.UNKNOWN),
        (NOW - 5 + CLOCK_SKEW, Verdict.COUNTS),
        (NOW, Verdict.COUNTS),
        (0.0, Verdict.REVOKED),
    ],
)
def test_what_was_issued_before_counts_no_more(issued: float, verdict: Verdict) -> None:
    """Later counts again; within the clocks' difference whoever asks has to find out."""
    assert known(Revocation(at=NOW - 5, user="7")).judge(token(issued), NOW) is verdict


def test_ended_session_never_comes_back() -> None:
    """No time matters: a session's key is never used again."""
    revocations = known(Revocation(at=NOW - 5, session="mine"))
    for issued in (NOW - 10, NOW, NOW + 10):
        assert revocations.judge(token(issued, session="mine"), NOW) is Verdict.REVOKED


@pytest.mark.parametrize("since", [inf, NOW - 5])
def test_nothing_is_known_of_what_is_older_than_the_log(since: float) -> None:
    """A log that was not read, or lost its beginning, says nothing of what was issued before."""
    revocations = known(since=since)
    assert revocations.judge(token(NOW - 10), NOW) is Verdict.UNKNOWN
    assert revocations.judge(token(0.0), NOW) is Verdict.UNKNOWN
    expected = Verdict.UNKNOWN if since == inf else Verdict.COUNTS
    assert revocations.judge(token(NOW), NOW) is expected


def test_entries_end() -> None:
    """An entry is forgotten when all that it concerns has ended; so is what came of it."""
    revocations = known(Revocation(at=NOW, user="7"))
    revocations.learn(Revocation(at=NOW + LIFETIME + 1, user="8"), NOW + LIFETIME + 1)
    assert len(revocations) == 1
    assert revocations.judge(token(NOW - 1), NOW + LIFETIME + 1) is Verdict.UNKNOWN


def test_memory_is_bounded() -> None:
    """Past the limit the oldest goes, and nothing is known any more of what it may have said."""
    revocations = known()
    for number in range(MAX_REVOCATIONS + 10):
        at = NOW - 100 + number / 1_000
        revocations.learn(Revocation(at=at, user=f"user-{number}"), NOW)
    assert len(revocations) == MAX_REVOCATIONS
    assert revocations.judge(token(NOW - 100), NOW) is Verdict.UNKNOWN
    assert revocations.judge(token(NOW - 95), NOW) is Verdict.COUNTS


def test_room_is_closed_to_whoever_was_put_out() -> None:
    """What opened it before does so no more, for this user and this room; what comes later does."""
    revocations = known(Revocation(at=NOW - 5, user="7", room="orders"))
    assert not revocations.opens(token(NOW - 10), "orders")
    assert revocations.opens(token(NOW), "orders")
    assert revocations.opens(token(NOW - 10), "news")
    assert revocations.opens(Credential(user_id="8", issued=NOW - 10), "orders")


@pytest.mark.parametrize(
    "entry",
    [
        Revocation(at=NOW, user="7"),
        Revocation(at=NOW, user="7", room="orders"),
        Revocation(at=NOW, session="digest"),
        Revocation(at=NOW),
    ],
)
def test_entries_are_read_as_they_were_written(entry: Revocation) -> None:
    """JSON in between changes nothing."""
    assert Revocation.from_json(entry.to_json(), NOW) == entry


@pytest.mark.parametrize(
    "value", [None, 7, "x", [], {}, {"at": "now"}, {"at": NOW, "user": 7}, {"user": "7"}]
)
def test_what_is_no_entry_is_none(value: object) -> None:
    """Whatever somebody published to the log's room."""
    assert Revocation.from_json(value, NOW) is None


def test_entry_of_the_future_is_one_of_now() -> None:
    """A clock that is wrong, or a forged entry, keeps nobody out for long."""
    entry = Revocation.from_json({"at": NOW + 1e9, "user": "7"}, NOW)
    assert entry is not None
    assert entry.at == NOW + CLOCK_SKEW


def test_concerns() -> None:
    """Who is signed in and was issued what it says until then, by the clocks' difference."""
    entry = Revocation(at=NOW, user="7")
    assert entry.concerns(token(NOW))
    assert not entry.concerns(token(NOW + 0.5))
    assert entry.concerns(token(NOW + 0.5), CLOCK_SKEW)
    assert not entry.concerns(Credential(user_id="8", issued=NOW))
    assert not Revocation(at=NOW).concerns(NOBODY)
    assert Revocation(at=NOW, session="s").concerns(token(NOW + 9, session="s"))
