"""Revocations: users signed out, sessions ended, users put out of rooms.

Each revocation is an entry of a log that all workers read (`revocation_log.py` beside this). It is
kept only while something lives that it could concern, such as a token. So what a process holds is
bounded.

Who was put out of a room is remembered for longer, since tokens for rooms live for a day, and apart
from the sign-outs: however many users sign out, that must not be forgotten (`removals_log.py`).
What was issued before the oldest that is remembered opens no room; the rule decides.

A log may have lost its beginning: its size is limited, and a Redis without persistence forgets all.
So the log also says since when it is complete. It knows nothing of what was issued before that, and
whoever asks has to find out in another way. So a loss costs queries, but never lets in somebody who
was put out.

A worker may be cut off from the log, or stand still, and write notes of users who were put out
meanwhile. So a note says up to which entry its writer had heard the log, and all later ones count
against it, whatever their times.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any, Final

import orjson

from realtime.access.credential import Credential
from realtime.access.entries_by_time import EntriesByTime
from shardlayer import Position

CLOCK_SKEW: Final = 1.0  # seconds that the clocks of two machines may differ
RETRY_PAUSE: Final = 0.5  # seconds until a shard that did not answer is asked for a log again
MAX_REVOCATIONS: Final = 10_000  # that are remembered; see `Revocations.known_since`


class Verdict(Enum):
    """What is known of a credential, or of a note of one."""

    COUNTS = "it was not taken back"
    REVOKED = "it was taken back"
    UNKNOWN = "too old, or too close to a revocation, to be judged by the log"


class RemovalsUnknown(Exception):
    """It could not be read yet who was put out of rooms."""


class RemovalsForgotten(RemovalsUnknown):
    """It is not remembered any more who was put out of rooms then, and asking later won't help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One entry of the log.

    Attributes:
        at: When, in Unix seconds: what was issued until then counts no more.
        user: The primary key, as text, of the user that it concerns; empty for a session.
        room: The room that the user was put out of; empty: signed out altogether.
        session: The digest of the session that ended; empty for a user.
    """

    at: float
    user: str = ""
    room: str = ""
    session: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the entry as the log has it; one of nobody marks the log's beginning."""
        named = {"user": self.user, "room": self.room, "session": self.session}
        return {"at": self.at} | {key: text for key, text in named.items() if text}

    @classmethod
    def from_json(cls, value: object, now: float) -> Revocation | None:
        """Return the entry that `to_json` wrote, none of the future; None if it is no entry."""
        if not isinstance(value, Mapping):
            return None
        at = value.get("at")
        texts = [value.get(key, "") for key in ("user", "room", "session")]
        if not isinstance(at, int | float) or not all(isinstance(text, str) for text in texts):
            return None
        user, room, session = texts
        return cls(at=min(float(at), now + CLOCK_SKEW), user=user, room=room, session=session)

    def concerns(self, credential: Credential, skew: float = 0.0) -> bool:
        """Return whether this takes back what was issued to the credential's bearer."""
        if self.session:
            # No key of a session is used again, so its end counts for whatever comes later, too.
            return credential.session == self.session
        return credential.user_id == self.user != "" and credential.issued <= self.at + skew


class Revocations:
    """What a process remembers of the log.

    Args:
        lifetime: Seconds for which a sign-out is remembered.
        of_rooms: Seconds for which it is remembered who was put out of a room.
    """

    def __init__(self, lifetime: float, of_rooms: float | None = None) -> None:
        self._lifetime = lifetime
        self._of_rooms = lifetime if of_rooms is None else of_rooms
        self._latest = EntriesByTime()
        self._removals = EntriesByTime()  # apart: no number of sign-outs makes them go
        self._epoch = ""  # that the offsets are of
        self._gone = 0  # the latest offset whose entry is not remembered
        self._read_since = inf  # what the log says of itself; infinite while it was not read
        self._removals_since = inf  # the same of those who were put out of rooms
        self._forgotten = 0.0  # the latest that had to go before its time
        self._removals_forgotten = 0.0

    def __len__(self) -> int:
        return len(self._latest) + len(self._removals)

    def complete_since(self, at: float) -> None:
        """Note that the log was read, and since when it is complete; infinite: it is not heard."""
        self._read_since = at

    def removals_complete_since(self, at: float) -> None:
        """Note since when it is known who was put out of rooms, in Unix seconds.

        A log that is read again knows no more of what was before: it may have been lost.
        """
        before = self._removals_since
        self._removals_since = at if before == inf else max(before, at)

    def begin(self, epoch: str) -> None:
        """Note of which epoch the offsets are from now on; those of another say nothing."""
        if epoch != self._epoch:
            self._epoch, self._gone = epoch, 0
            self._latest.forget_offsets()
            self._removals.forget_offsets()

    def lacks(self, offset: int) -> None:
        """Note that the entry of an offset can't be read any more, so that it is not remembered."""
        self._gone = max(self._gone, offset)

    def known_since(self, now: float) -> float:
        """Return since when every revocation is known, in Unix seconds."""
        return max(self._read_since, self._forgotten, now - self._lifetime)

    def removals_known_since(self, now: float) -> float:
        """Return since when it is known who was put out of rooms; infinite if it was not read.

        The log of all revocations has them as well, but only for as long as it has sign-outs.
        """
        since = min(self._removals_since, self.known_since(now))  # that log has them, too
        return max(since, self._removals_remembered_since(now))

    def _removals_remembered_since(self, now: float) -> float:
        """Return since when it is remembered who was put out of rooms, as far as it was read."""
        return max(self._removals_forgotten, now - self._of_rooms)

    def learn(self, entry: Revocation, now: float, offset: int = 0) -> None:
        """Remember an entry, and forget those that concern nothing any more.

        `offset` is the entry's in the log, in the present epoch; 0 where that is unknown. Entries
        may come in any order: two logs tell of removals, and either is read again after a loss.
        """
        if entry.user or entry.session:
            entries = self._removals if entry.room else self._latest
            entries.put((entry.user, entry.room, entry.session), entry.at, offset)
        self._forgotten = max(self._forgotten, self._trim(self._latest, now - self._lifetime))
        gone = self._trim(self._removals, now - self._of_rooms)
        self._removals_forgotten = max(self._removals_forgotten, gone)

    def _trim(self, entries: EntriesByTime, ended: float) -> float:
        """Forget entries of before a time, and the oldest of too many; return until when of these.

        0 if none had to go before its time.
        """
        forgotten = 0.0
        while entries and (entries.oldest() <= ended or len(entries) > MAX_REVOCATIONS):
            at, offset = entries.pop_oldest()
            if at > ended:
                forgotten = max(forgotten, at + CLOCK_SKEW)
            self.lacks(offset)
        return forgotten

    def judge(self, credential: Credential, now: float) -> Verdict:
        """Return whether what was issued to the credential's bearer still counts."""
        user, session = credential.user_id, credential.session
        if self.has_ended(session):
            return Verdict.REVOKED
        if user is None and session is None:
            return Verdict.COUNTS
        known = self.known_since(now)
        entry = self._latest.get((user or "", "", ""))
        if entry is not None and user is not None:
            at, _ = entry
            if credential.issued <= at:
                return Verdict.REVOKED
            known = max(known, at + CLOCK_SKEW)
        if credential.issued < known:
            return Verdict.UNKNOWN
        return Verdict.COUNTS

    def judge_note(self, credential: Credential, heard: Position | None, now: float) -> Verdict:
        """Return whether a note still counts, whose bearer was last known by it to be in.

        Args:
            credential: Of the note's bearer, as if it was issued when the note was written.
            heard: Up to where its writer had heard the log; None where the note does not say.
            now: Unix seconds.
        """
        verdict = self.judge(credential, now)
        is_anybodys = credential.user_id is None and credential.session is None
        if verdict is not Verdict.COUNTS or heard is None or is_anybodys:
            return verdict
        if heard.epoch != self._epoch or heard.offset < self._gone:
            return Verdict.UNKNOWN
        entry = self._latest.get((credential.user_id or "", "", ""))
        is_unheard = entry is not None and entry[1] > heard.offset
        return Verdict.REVOKED if is_unheard else Verdict.COUNTS

    def has_ended(self, session: str | None) -> bool:
        """Return whether a session is known to have ended, by its digest."""
        return session is not None and ("", "", session) in self._latest

    def opens(
        self,
        credential: Credential,
        room: str,
        heard: Position | None = None,
        now: float | None = None,
    ) -> bool:
        """Return whether nobody has put the credential's bearer out of a room since its issue.

        A JWT that does not say when it was issued is judged by what is remembered alone. Of a note:
        nor since its writer had heard the log up to `heard`, see `judge_note`.

        Raises:
            RemovalsForgotten: It was issued before all that is remembered, so it opens nothing.
            RemovalsUnknown: It could not be read yet who was put out of rooms since its issue.
        """
        if credential.user_id is None:
            return True
        entry = self._removals.get((credential.user_id, room, ""))
        if entry is not None:
            at, offset = entry
            if credential.issued <= at or (heard is not None and offset > heard.offset):
                return False
        now = time.time() if now is None else now
        issued = credential.issued
        if issued >= self.removals_known_since(now):
            return True
        if self._removals_since == inf and not 0 < issued < self._removals_remembered_since(now):
            raise RemovalsUnknown
        if issued:
            raise RemovalsForgotten
        return True


def parsed_push(text: bytes) -> Any:
    """Return what JSON text of a log says; of what can't be read, a push without an entry."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # of a number that is too large for one, such as 1e999
        return {"data": None}
