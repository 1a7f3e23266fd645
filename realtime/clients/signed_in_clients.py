"""Which clients of a process somebody is signed in on, by whom, and when each is to be looked at.

Without I/O. What is kept is a few entries for each client, whatever the client asks for.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

from realtime.access.credential import Credential
from realtime.access.revocations import Revocation

Member = TypeVar("Member", bound=Hashable)


class SignedInClients(Generic[Member]):
    """The clients of one event loop that have a credential."""

    def __init__(self) -> None:
        self._credentials: dict[Member, Credential] = {}
        self._by_user: defaultdict[str, set[Member]] = defaultdict(set)
        self._by_session: defaultdict[str, set[Member]] = defaultdict(set)
        self._due: defaultdict[int, set[Member]] = defaultdict(set)  # by Unix second
        self._second: dict[Member, int] = {}

    def __len__(self) -> int:
        return len(self._credentials)

    def __contains__(self, member: Member) -> bool:
        return member in self._credentials

    def add(self, member: Member, credential: Credential) -> None:
        """Note whose a client is from now on."""
        self._drop(member)
        self._credentials[member] = credential
        if credential.user_id is not None:
            self._by_user[credential.user_id].add(member)
        if credential.session is not None:
            self._by_session[credential.session].add(member)

    def discard(self, member: Member) -> None:
        """Forget a client."""
        self._drop(member)
        self.plan(member, None)

    def plan(self, member: Member, at: float | None) -> None:
        """Have a client looked at, at a Unix time that takes the place of an earlier plan."""
        planned = self._second.pop(member, None)
        if planned is not None:
            _take_out(self._due, planned, member)
        if at is not None:
            second = self._second[member] = int(at) + 1
            self._due[second].add(member)

    def due(self, now: float) -> list[Member]:
        """Return the clients that are to be looked at by now, and plan nothing more for them."""
        found: list[Member] = []
        for second in sorted(second for second in self._due if second <= now):
            found += self._due.pop(second)
        for member in found:
            del self._second[member]
        return found

    def concerned(self, entry: Revocation, skew: float) -> Iterator[Member]:
        """Yield the clients that a revocation concerns."""
        index, key = (
            (self._by_session, entry.session) if entry.session else (self._by_user, entry.user)
        )
        for member in list(index.get(key, ())):
            if entry.concerns(self._credentials[member], skew):
                yield member

    def _drop(self, member: Member) -> None:
        credential = self._credentials.pop(member, None)
        if credential is None:
            return
        if credential.user_id is not None:
            _take_out(self._by_user, credential.user_id, member)
        if credential.session is not None:
            _take_out(self._by_session, credential.session, member)


Key = TypeVar("Key", bound=Hashable)


def _take_out(index: defaultdict[Key, set[Member]], key: Key, member: Member) -> None:
    members = index.get(key)
    if members is not None:
        members.discard(member)
        if not members:
            del index[key]
