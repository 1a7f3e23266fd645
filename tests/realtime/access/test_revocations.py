"""What is remembered of who was signed out, and what it says of tokens, notes and rooms."""

from __future__ import annotations

from math import inf

import pytest

from realtime.access.credential import NOBODY, Credential
from realtime.access.revocations import (
    CLOCK_SKEW,
    MAX_REVOCATIONS,
    RemovalsForgotten,
    RemovalsUnknown,
    Revocation,
    Revocations,
    Verdict,
)
from shardlayer import BEGINNING, Position

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


def is_forgotten(log: Revocations, issued: float, room: str, now: float = NOW) -> bool:
    """Return whether what was issued then is older than all that is remembered."""
    try:
        log.opens(token(issued), room, now=now)
    except RemovalsForgotten:
        return True
    return False


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
    assert not revocations.opens(token(NOW - 10), "orders", now=NOW)
    assert revocations.opens(token(NOW), "orders", now=NOW)
    assert revocations.opens(token(NOW - 10), "news", now=NOW)
    assert revocations.opens(Credential(user_id="8", issued=NOW - 10), "orders", now=NOW)


def test_removals_outlive_sign_outs() -> None:
    """They are remembered apart, and for longer: a token for a room may live for a day."""
    log = Revocations(LIFETIME, of_rooms=24 * LIFETIME)
    log.complete_since(0.0)
    log.removals_complete_since(0.0)
    log.learn(Revocation(at=NOW, user="7", room="orders"), NOW, 1)
    later = NOW + 20 * LIFETIME
    for number in range(MAX_REVOCATIONS + 1):
        log.learn(Revocation(at=later, session=f"session-{number}"), later, number + 2)
    assert not log.opens(token(NOW - 10), "orders", now=later)
    assert log.opens(token(NOW + 10), "orders", now=later)
    assert log.opens(token(NOW - 10), "news", now=later)


def test_what_is_older_than_all_removals_opens_nothing() -> None:
    """Past their time and past their number; but a JWT that has no time is not older."""
    log = Revocations(LIFETIME, of_rooms=24 * LIFETIME)
    log.complete_since(0.0)
    log.removals_complete_since(0.0)
    assert log.opens(token(NOW), "orders", now=NOW + 24 * LIFETIME)
    assert is_forgotten(log, NOW - 1, "orders", now=NOW + 24 * LIFETIME)
    assert log.opens(NOBODY, "orders", now=NOW)
    for number in range(MAX_REVOCATIONS + 1):
        log.learn(Revocation(at=NOW - 50, user=f"user-{number}", room="orders"), NOW)
    assert len(log) == MAX_REVOCATIONS
    assert is_forgotten(log, NOW - 60, "news")
    assert log.opens(token(NOW - 50 + CLOCK_SKEW), "news", now=NOW)
    assert log.opens(token(0.0), "news", now=NOW)


def test_either_log_tells_who_was_put_out() -> None:
    """Their own, or that of all revocations; of what is older than what was read, nothing."""
    log = Revocations(LIFETIME, of_rooms=24 * LIFETIME)
    with pytest.raises(RemovalsUnknown):
        log.opens(token(NOW - 10), "orders", now=NOW)
    assert log.opens(NOBODY, "orders", now=NOW)
    log.complete_since(NOW - 5)
    with pytest.raises(RemovalsUnknown):
        log.opens(token(NOW - 10), "orders", now=NOW)
    assert log.opens(token(NOW - 5), "orders", now=NOW)
    log.removals_complete_since(0.0)
    assert log.opens(token(NOW - 10), "orders", now=NOW)
    log.complete_since(inf)
    assert log.opens(token(NOW - 10), "orders", now=NOW)


@pytest.mark.parametrize("issued", [NOW - LIFETIME - 1, NOW - 20 * LIFETIME, 0.0])
def test_the_log_of_all_vouches_for_its_own_time(issued: float) -> None:
    """It has no entries older than that, so it does not know who was put out before."""
    log = Revocations(LIFETIME, of_rooms=24 * LIFETIME)
    log.complete_since(0.0)
    with pytest.raises(RemovalsUnknown):
        log.opens(token(issued), "orders", now=NOW)
    assert log.opens(token(NOW - LIFETIME + 1), "orders", now=NOW)
    log.removals_complete_since(0.0)
    assert log.opens(token(issued), "orders", now=NOW)


def test_removals_that_were_trimmed_stay_unknown() -> None:
    """Also when their log is lost: one that begins anew says nothing of what was before."""
    log = Revocations(LIFETIME)
    log.removals_complete_since(NOW - 5)
    log.removals_complete_since(0.0)
    assert is_forgotten(log, NOW - 10, "orders")
    log.removals_complete_since(NOW - 2)
    assert is_forgotten(log, NOW - 3, "orders")
    assert log.opens(token(NOW - 2), "orders", now=NOW)


def test_what_is_too_old_is_so_before_anything_is_read() -> None:
    """No reading will tell of what is remembered no more; of a JWT without a time, one may."""
    log = Revocations(LIFETIME, of_rooms=24 * LIFETIME)
    assert is_forgotten(log, NOW - 24 * LIFETIME - 1, "orders")
    with pytest.raises(RemovalsUnknown) as failure:
        log.opens(token(0.0), "orders", now=NOW)
    assert failure.type is RemovalsUnknown


DAYS = 24 * LIFETIME
MONTHS_AGO = [
    Revocation(at=NOW - 100 * DAYS + number * 95 * DAYS / 12_000, user=f"old-{number}", room="chat")
    for number in range(MAX_REVOCATIONS + 2_000)
]
TODAY = [Revocation(at=NOW - 60 + n, user=f"new-{n}", room="chat") for n in range(50)]


def of_both(short: list[Revocation], long: list[Revocation]) -> Revocations:
    """Return what a worker knows that reads the short log first, and then the long one."""
    log = Revocations(LIFETIME, of_rooms=DAYS)
    log.begin("e")
    for offset, entry in enumerate(short, 1_001):
        log.learn(entry, NOW, offset)
    log.complete_since(NOW - LIFETIME)
    for entry in long:
        log.learn(entry, NOW)
    log.removals_complete_since(long[0].at + CLOCK_SKEW)
    return log


def test_what_has_ended_drives_out_nothing() -> None:
    """A log that is full of what ended long ago, read behind what is new, forgets nothing."""
    log = of_both(TODAY, MONTHS_AGO + TODAY)
    assert len(log) == len(TODAY)
    assert log.opens(token(NOW - 20 * LIFETIME), "orders", now=NOW)
    out = Credential(user_id="new-0", issued=NOW - 61)
    assert not log.opens(out, "chat", now=NOW)
    assert log.opens(out, "orders", now=NOW)
    assert log.judge_note(token(NOW - 2), Position(1_000, "e"), NOW) is Verdict.COUNTS


def test_of_too_many_the_oldest_go_whatever_was_read_last() -> None:
    """What comes later from the long log may be older than what the short one told before."""
    long = [
        Revocation(at=NOW - 9_000 + number / 2, user=f"{number}", room="chat")
        for number in range(MAX_REVOCATIONS)
    ]
    log = of_both(TODAY, long)
    assert len(log) == MAX_REVOCATIONS
    gone = long[len(TODAY) - 1].at
    assert is_forgotten(log, gone + CLOCK_SKEW / 2, "orders")
    assert log.opens(token(gone + CLOCK_SKEW), "orders", now=NOW)
    for entry in (*TODAY, long[len(TODAY)]):
        out = Credential(user_id=entry.user, issued=entry.at)
        assert not log.opens(out, "chat", now=NOW)
    assert log.judge_note(token(NOW - 2), Position(1_000, "e"), NOW) is Verdict.COUNTS


def test_what_is_read_again_keeps_its_latest_time() -> None:
    """After a loss a log is read anew, older entries behind newer ones of the same user."""
    log = of_both([OUT_OF_ORDERS], [Revocation(at=NOW - 9, user="7", room="orders")])
    assert len(log) == 1
    assert not log.opens(token(NOW - 5), "orders", now=NOW)
    later = NOW + DAYS - 5
    log.learn(Revocation(at=later), later)
    assert len(log) == 0
    assert log.judge_note(token(later), Position(1_000, "e"), later) is Verdict.UNKNOWN


def test_sign_outs_go_by_their_time() -> None:
    """One that has ended is not remembered, and one whose writer's clock is slow stops nothing."""
    log = heard_of(
        Revocation(at=NOW - 5, user="8"),
        Revocation(at=NOW - LIFETIME - 9, user="9"),
        Revocation(at=NOW - 50, user="7"),
    )
    assert len(log) == 2
    later = NOW + LIFETIME - 20
    log.learn(Revocation(at=later), later)
    assert len(log) == 1
    assert log.judge(Credential(user_id="8", issued=NOW - 6), later) is Verdict.REVOKED


def test_who_was_put_out_may_have_been_again() -> None:
    """A removal that is known says nothing of what came between it and what was read."""
    log = Revocations(LIFETIME, of_rooms=24 * LIFETIME)
    log.learn(Revocation(at=NOW - 3 * LIFETIME, user="7", room="orders"), NOW)
    log.complete_since(0.0)
    assert not log.opens(token(NOW - 4 * LIFETIME), "orders", now=NOW)
    with pytest.raises(RemovalsUnknown):
        log.opens(token(NOW - 2 * LIFETIME), "orders", now=NOW)


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


OUT = Revocation(at=NOW - 5, user="7")
OUT_OF_ORDERS = Revocation(at=NOW - 5, user="7", room="orders")


def heard_of(*entries: Revocation) -> Revocations:
    """Return what a process knows that has read these entries of a log, from its first on."""
    revocations = Revocations(LIFETIME)
    revocations.begin("e")
    for offset, entry in enumerate(entries, start=1):
        revocations.learn(entry, NOW, offset)
    revocations.complete_since(0.0)
    return revocations


@pytest.mark.parametrize(
    ("heard", "verdict"),
    [
        (Position(1, "e"), Verdict.REVOKED),
        (Position(2, "e"), Verdict.COUNTS),
        (Position(3, "e"), Verdict.COUNTS),
        (Position(2, "before"), Verdict.UNKNOWN),
        (BEGINNING, Verdict.UNKNOWN),
        (None, Verdict.COUNTS),
    ],
)
def test_note_of_who_was_signed_out_unheard(heard: Position | None, verdict: Verdict) -> None:
    """It was written later, by a worker that did not know; what it says it had heard decides."""
    log = heard_of(Revocation(at=NOW - 9, user="8"), OUT, Revocation(at=NOW - 1, user="9"))
    assert log.judge_note(token(NOW - 2), heard, NOW) is verdict
    assert log.judge_note(NOBODY, heard, NOW) is Verdict.COUNTS


def test_note_says_of_rooms_what_was_unheard() -> None:
    """As of the sign-in; other rooms and other users are open."""
    log = heard_of(OUT_OF_ORDERS)
    note = token(NOW - 2)
    assert not log.opens(note, "orders", Position(0, "e"), now=NOW)
    assert log.opens(note, "orders", Position(1, "e"), now=NOW)
    assert log.opens(note, "news", Position(0, "e"), now=NOW)
    assert log.opens(Credential(user_id="8", issued=NOW - 2), "orders", Position(0, "e"), now=NOW)
    assert not log.opens(token(NOW - 10), "orders", Position(1, "e"), now=NOW)
    assert log.judge_note(note, Position(0, "e"), NOW) is Verdict.COUNTS


def test_later_entry_of_the_same_kind_counts() -> None:
    """Who was signed out twice is out for a note that has heard of the first time alone."""
    log = heard_of(OUT, Revocation(at=NOW - 4, user="7"))
    assert log.judge_note(token(NOW - 2), Position(1, "e"), NOW) is Verdict.REVOKED
    log.learn(OUT, NOW)  # read again, at an offset that is not known
    assert log.judge_note(token(NOW - 2), Position(1, "e"), NOW) is Verdict.REVOKED


def test_nothing_is_known_of_what_had_to_go() -> None:
    """Whoever had not heard of an entry that is remembered no more may have missed any."""
    log = heard_of(*(Revocation(at=NOW - 100, user=f"u{n}") for n in range(MAX_REVOCATIONS + 2)))
    assert log.judge_note(token(NOW - 2), Position(1, "e"), NOW) is Verdict.UNKNOWN
    assert log.judge_note(token(NOW - 2), Position(2, "e"), NOW) is Verdict.COUNTS
    log.lacks(9)
    assert log.judge_note(token(NOW - 2), Position(8, "e"), NOW) is Verdict.UNKNOWN


def test_offsets_of_another_epoch_say_nothing() -> None:
    """A new log counts from 1 again: what the old one said is judged by its time alone."""
    log = heard_of(Revocation(at=NOW - 9, user="8"), OUT)
    log.begin("f")
    assert log.judge_note(token(NOW - 2), Position(1, "f"), NOW) is Verdict.COUNTS
    assert log.judge_note(token(NOW - 6), Position(1, "f"), NOW) is Verdict.REVOKED
    assert log.judge_note(token(NOW - 2), Position(1, "e"), NOW) is Verdict.UNKNOWN
