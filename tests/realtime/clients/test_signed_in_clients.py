"""Which clients a revocation concerns, and when each is looked at."""

from __future__ import annotations

from realtime.access.credential import Credential
from realtime.access.revocations import Revocation
from realtime.clients.signed_in_clients import SignedInClients


def of(user: str, session: str | None = None, issued: float = 10.0) -> Credential:
    """Return the credential of a user."""
    return Credential(method="token", user_id=user, session=session, issued=issued)


def concerned(clients: SignedInClients[str], entry: Revocation) -> list[str]:
    """Return whom an entry concerns, in order."""
    return sorted(clients.concerned(entry, 0.0))


def test_concerned_by_user_and_by_session() -> None:
    """All connections of a user, or of one session; not those that signed in later."""
    clients: SignedInClients[str] = SignedInClients()
    clients.add("laptop", of("7", "s1"))
    clients.add("phone", of("7", "s2"))
    clients.add("later", of("7", "s3", issued=99.0))
    clients.add("other", of("8", "s4"))
    assert concerned(clients, Revocation(at=50.0, user="7")) == ["laptop", "phone"]
    assert concerned(clients, Revocation(at=50.0, session="s3")) == ["later"]
    assert concerned(clients, Revocation(at=50.0, user="9")) == []


def test_nothing_is_left_of_who_is_gone() -> None:
    """However often a client signs in, one entry stands for it, and none once it has left."""
    clients: SignedInClients[str] = SignedInClients()
    for number in range(1_000):
        clients.add("a", of(str(number), f"s{number}"))
        clients.plan("a", float(number))
    assert len(clients) == 1
    assert concerned(clients, Revocation(at=50.0, user="998")) == []
    assert concerned(clients, Revocation(at=50.0, user="999")) == ["a"]
    assert clients.due(500.0) == []
    clients.discard("a")
    assert "a" not in clients
    assert clients.due(1e9) == []
    assert not any(
        (clients._credentials, clients._by_user, clients._by_session, clients._due, clients._second)
    )


def test_due_comes_once_and_in_order() -> None:
    """No earlier than planned; a new plan takes the place of the one before."""
    clients: SignedInClients[str] = SignedInClients()
    for name, at in (("late", 30.5), ("early", 10.5), ("moved", 10.5), ("never", 10.5)):
        clients.plan(name, at)
    clients.plan("moved", 20.0)
    clients.plan("never", None)
    assert clients.due(10.5) == []
    assert clients.due(11.0) == ["early"]
    assert clients.due(100.0) == ["moved", "late"]
    assert clients.due(1_000.0) == []
