"""What a project writes for presence: infos of clients, and names of users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.contrib.auth.models import User

asked: list[Sequence[str]] = []


async def info(user: User, room: str, claims: Mapping[str, Any]) -> Any:
    """Say where the client is."""
    if room == "broken":
        raise RuntimeError("no info today")
    return {"room": room, "text": "x" * 600} if room == "long" else {"room": room}


def fetch(keys: Sequence[str]) -> dict[str, Any]:
    """Name users, with one query."""
    asked.append(keys)
    return {
        str(user.pk): {"name": user.get_username()} for user in User.objects.filter(pk__in=keys)
    }


def broken_fetch(keys: Sequence[str]) -> dict[str, Any]:
    """Fail."""
    raise RuntimeError("no names today")
