"""Tickets of open pages."""

from __future__ import annotations

import pytest
from django.core import signing

from realtime.admin.live_tickets import MAX_QUERY, LiveTicket, read_ticket, write_ticket


def test_ticket_says_what_was_written() -> None:
    """What comes back is the page that it was written for."""
    ticket = LiveTicket(site="admin", model="room", view="", query={"q": "chat."})
    assert read_ticket(write_ticket(ticket) or "") == ticket


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", signing.dumps(["admin", "room", "", {}])],
    ids=["empty", "nonsense", "signed"],  # a signature has the time, and workers collect by name
)
def test_other_texts_are_no_tickets(text: str) -> None:
    """Neither is what was signed for something else."""
    assert read_ticket(text) is None


def test_long_query_has_no_ticket() -> None:
    """What a stranger's link asks for does not grow without end."""
    query = {"q": "x" * MAX_QUERY}
    assert write_ticket(LiveTicket(site="admin", model="room", view="", query=query)) is None
