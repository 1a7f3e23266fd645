"""Who is signed in on one connection, from its first credential to its last."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import Protocol

from realtime.access.credential import NOBODY, Credential
from realtime.access.identity import Identity
from realtime.access.notes import BadNote, ResumeNote, read_note
from realtime.access.revocations import RemovalsUnknown, Revocation, Verdict
from realtime.clients.client_counters import counters
from realtime.clients.protocol import replies
from realtime.clients.protocol.commands import CLOSE_EXPIRED, CLOSE_SIGNED_OUT
from realtime.clients.room_looks import MemberOfRooms
from realtime.clients.sign_in_watch import SignInWatch
from realtime.conf import conf
from shardlayer import BEGINNING, Position

LOG_PATIENCE = 1.0  # seconds that clients wait for a worker that has just begun to read a log


class SignedInClient(MemberOfRooms, Protocol):
    """The client, as its sign-in sees it."""

    @property
    def identity(self) -> Identity:
        """Who is on the connection."""

    def push(self, text: bytes) -> None:
        """Write to the client."""

    def close(self, code: int, reason: str) -> None:
        """Close the client's connection."""

    def put_out(self, room: str) -> None:
        """Have the client leave a room, and tell it."""


class SignIn:
    """The gate of one connection's identity (`SignInGate`), and what its watch looks at.

    Args:
        client: Whose it is.
        watch: Of the client's event loop.
    """

    __slots__ = ("_asked", "_client", "_credential", "_watch")

    def __init__(self, client: SignedInClient, watch: SignInWatch) -> None:
        self._client = client
        self._watch = watch
        self._credential: Credential | None = None
        self._asked = False  # to renew what has expired

    def end(self) -> None:
        """Be watched no more: the client is gone."""
        self._watch.clients.discard(self)

    async def resume(self, text: str) -> ResumeNote | None:
        """Let a note say who the client is; None if it does not count, and nothing changes."""
        note = await self._counting(text)
        if note is None:
            counters.notes_refused += 1
        else:
            counters.notes_taken += 1
        return note

    def bearer(self) -> Credential | None:
        """Return whom a room's token named, if that is all that is known of the client."""
        if self._client.identity.credential is NOBODY and self in self._watch.clients:
            return self._credential
        return None

    async def heard(self) -> Position | None:
        """Return up to where the log of revocations was heard; ask it before who is in which rooms.

        A worker that has just begun to read the log is waited for, by all clients together for
        LOG_PATIENCE at most.
        """
        log = self._watch.log
        if log.heard == BEGINNING:
            await log.sign_outs_read(LOG_PATIENCE)
        return log.heard

    # As the gate.

    @property
    def version(self) -> int:
        """A number that changes whenever something was taken back."""
        return self._watch.log.version

    async def judge(self, credential: Credential, heard: Position | None = None) -> Verdict:
        """Return what is known of a credential that was issued a while ago.

        It may be unread who was put out of rooms. `heard` says of a note up to where its writer had
        heard the log.
        """
        await self._watch.log.sign_outs_read(LOG_PATIENCE)
        return self._watch.log.judge(credential, heard)

    def admit(self, credential: Credential) -> bool:
        """Take note that a credential counts from now on, or return False: it does not."""
        known, clients = self._watch.log.known, self._watch.clients
        if credential.user_id is None:
            clients.discard(self)
            return True
        is_read = credential.method in ("session", "middleware")  # from the database, just now
        if known.has_ended(credential.session) or (
            not is_read and known.judge(credential, time.time()) is Verdict.REVOKED
        ):
            return False
        self._credential, self._asked = credential, False
        clients.add(self, credential)
        clients.plan(self, credential.expires)
        if credential.is_of_session:
            self._watch.plan_recheck(self, credential.issued)
        return True

    def user_is_gone(self) -> None:
        """Close the connection: as nobody's it would stay in rooms, out of any sign-out's reach."""
        self._close_signed_out("the user may not sign in any more")

    async def opens(self, credential: Credential, room: str) -> bool:
        """Return whether a room that a credential opened is still open by that.

        If it is not known, because a worker has just begun, that is waited for.

        Raises:
            RemovalsUnknown: It could not be read yet who was put out of rooms.
        """
        log = self._watch.log
        with suppress(RemovalsUnknown):
            return log.known.opens(credential, room)
        await log.removals_read(LOG_PATIENCE)
        return log.known.opens(credential, room)

    # What the watch calls.

    def revoked(self, entry: Revocation) -> None:
        """End what a revocation takes back."""
        if entry.room:
            self._client.put_out(entry.room)
        else:
            self._close_signed_out("signed out")

    def look(self, now: float) -> None:
        """See to what is due: a session is read, who has expired is asked to renew, then closed."""
        credential = self._credential
        if credential is None or credential.expires is None:
            self._watch.recheck(self)
        elif self._asked:
            counters.expired_closed += 1
            self._client.close(CLOSE_EXPIRED, "the sign-in has expired")
        else:
            self._asked = True
            grace = conf().expiry_grace
            counters.renewals_asked += 1
            self._client.push(replies.renew(within=grace))
            self._watch.clients.plan(self, now + grace)

    async def read_session(self) -> None:
        """See whether the session still stands, and then whether its rooms are still open to it.

        Its rooms are looked at beside other clients' sessions, which wait for none of its rules.

        Raises:
            Exception: What the database raises.
        """
        if await self._client.identity.read_session_again():
            self._watch.looks.begin(self._client)  # what the user may do may have changed
        elif self in self._watch.clients:  # else the client has left meanwhile
            self._close_signed_out("the session has ended")

    def _close_signed_out(self, reason: str) -> None:
        counters.signed_out += 1
        self._client.close(CLOSE_SIGNED_OUT, reason)

    def _is_bearer(self, credential: Credential) -> bool:
        """Return whether this client may be the one that a note was written for.

        Who signs in by a session has its cookie, so a note that was stolen is of no use without.
        """
        identity = self._client.identity
        if credential.method == "middleware":
            own = identity.credential
            return own.method == "middleware" and own.user_id == credential.user_id
        if credential.session is not None:
            return credential.session == identity.session_shown
        return True

    async def _counting(self, text: str) -> ResumeNote | None:
        try:
            note = read_note(text)
        except BadNote:
            return None
        credential = note.credential
        if not self._is_bearer(note.bearer or credential):
            return None
        shown, recheck = note.bearer or credential, conf().session_recheck
        if shown.is_of_session and 0 < recheck < (time.time() - shown.issued) / 2:
            return None  # read so long ago that only notes have put off reading it again
        # Of its bearer it is asked what happened since the note was written, or since its writer
        # heard of what happened.
        written = replace(shown, issued=note.issued)
        if await self.judge(written, note.heard) is not Verdict.COUNTS:
            return None
        if note.bearer is not None and not self._client.identity.is_known:
            if not self.admit(note.bearer):
                return None
            self._client.identity.bearer = note.bearer.user_id
        if credential.method not in ("nobody", "middleware"):
            try:
                if not self._client.identity.sign_in(credential):
                    return None
            except ValueError:  # the users' keys are of another kind now
                return None
        return replace(
            note,
            rooms=self._still_open(note.rooms, written, note.heard),
            signed=self._still_open(note.signed, written, note.heard),
        )

    def _still_open(self, rooms: set[str], written: Credential, heard: Position | None) -> set[str]:
        """Return which of a note's rooms its bearer was not put out of since it was written.

        None if that is not known: the client is signed in by now, and the rules decide.
        """
        known = self._watch.log.known
        try:
            return {room for room in rooms if known.opens(written, room, heard)}
        except RemovalsUnknown:
            return set()
