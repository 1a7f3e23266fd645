"""Revocations: users signed out, sessions ended, users put out of rooms.

Each revocation is an entry of a log that all workers read (`revocation_log.py` beside this). It is
kept only while something lives that it could concern, such as a token. So what a process holds is
bounded.

A log may have lost its beginning: its size is limited, and a Redis without persistence forgets all.
So the log also says since when it is complete. It knows nothing of what was issued before that, and
whoever asks has to find out in another way. So a loss costs queries, but never lets in somebody who
was put out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import Any, Final

from realtime.access.credential import Credential

CLOCK_SKEW: Final = 1.0  # seconds that the clocks of two machines may differ
MAX_REVOCATIONS: Final = 10_000  # that are remembered; see `Revocations.known_since`


class Verdict(Enum):
    """What is known of a credential, or of a note of one."""

    COUNTS = "it was not taken back"
    REVOKED = "it was taken back"
    UNKNOWN = "too old, or too close to a revocation, to be judged by the log"


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
        lifetime: Seconds for which an entry is remembered.

    """

    def __init__(self, lifetime: float) -> None:
        self._lifetime = lifetime
        self._latest: dict[tuple[str, str, str], float] = {}  # by whom it concerns, oldest first
        self._read_since = inf  # what the log says of itself; infinite while it was not read
        self._forgotten = 0.0  # the latest that had to go before its time

    def __len__(self) -> int:
        return len(self._latest)

    def complete_since(self, at: float) -> None:
        """Note that the log was read, and since when it is complete; infinite: it is not heard."""
        self._read_since = at

    def known_since(self, now: float) -> float:
        """Return since when every revocation is known, in Unix seconds."""
        return max(self._read_since, self._forgotten, now - self._lifetime)

    def learn(self, entry: Revocation, now: float) -> None:
        """Remember an entry, and forget those that concern nothing any more."""
        if entry.user or entry.session:
            key = entry.user, entry.room, entry.session
            self._latest[key] = max(entry.at, self._latest.pop(key, 0.0))
        ended = now - self._lifetime
        while self._latest:
            oldest = next(iter(self._latest))
            at = self._latest[oldest]
            if at > ended and len(self._latest) <= MAX_REVOCATIONS:
                break
            if at > ended:
                self._forgotten = max(self._forgotten, at + CLOCK_SKEW)
            del self._latest[oldest]

    def judge(self, credential: Credential, now: float) -> Verdict:
        """Return whether what was issued to the credential's bearer still counts."""
        user, session = credential.user_id, credential.session
        if self.has_ended(session):
            return Verdict.REVOKED
        if user is None and session is None:
            return Verdict.COUNTS
        known = self.known_since(now)
        at = self._latest.get((user or "", "", ""))
        if at is not None and user is not None:
            if credential.issued <= at:
                return Verdict.REVOKED
            known = max(known, at + CLOCK_SKEW)
        if credential.issued < known:
            return Verdict.UNKNOWN
        return Verdict.COUNTS

    def has_ended(self, session: str | None) -> bool:
        """Return whether a session is known to have ended, by its digest."""
        return session is not None and ("", "", session) in self._latest

    def opens(self, credential: Credential, room: str) -> bool:
        """Return whether nobody has put the credential's bearer out of a room since its issue."""
        at = self._latest.get((credential.user_id or "", room, ""))
        return at is None or credential.issued > at
