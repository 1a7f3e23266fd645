"""The ticket by which a page's WebSocket says which page it is of.

A ticket lets nobody in: the session alone says who the user is, and their permissions say what they
may see. The ticket is signed, so that strangers can't make up questions to the pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from django.core import signing

SALT = "realtime.admin.live"
MAX_AGE = 24 * 3600  # seconds that a page may be open and still come back
MAX_QUERY = 2_000  # characters of all of a page's parameters; with more it does not refresh itself


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveTicket:
    """Which page it is.

    Attributes:
        site: The name of its admin site.
        model: The name of its model.
        view: Which of the page's live views.
        query: What the page was asked.
        language: In which language it is.
    """

    site: str
    model: str
    view: str
    query: Mapping[str, str]
    language: str = "en"


def write_ticket(ticket: LiveTicket) -> str | None:
    """Return a ticket as a text; None if what its page was asked is too long."""
    if sum(len(name) + len(value) for name, value in ticket.query.items()) > MAX_QUERY:
        return None
    fields = [ticket.site, ticket.model, ticket.view, dict(ticket.query), ticket.language]
    return signing.dumps(fields, salt=SALT)


def read_ticket(text: str) -> LiveTicket | None:
    """Return what a ticket says; None if it is none of ours, or too old."""
    try:
        site, model, view, query, language = signing.loads(text, salt=SALT, max_age=MAX_AGE)
    except (signing.BadSignature, ValueError):
        return None
    return LiveTicket(site=site, model=model, view=view, query=query, language=language)
