"""The messages: a number, and the text of a chat."""

from __future__ import annotations

from typing import Any

_TEXT = "." * 200


def numbered(number: int) -> dict[str, Any]:
    """Return a message as consumers send it to a group, that carries its number."""
    return {"type": "chat.message", "number": number, "text": _TEXT}


def number_of(message: dict[str, Any]) -> int:
    """Return the number of a message."""
    number: int = message["number"]
    return number
