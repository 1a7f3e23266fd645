"""Rules of rooms for tests that are not about rules: everybody reads, and writes to chats."""

from __future__ import annotations

from typing import Any

OPEN_ROOMS: dict[str, dict[str, Any]] = {
    "chat.*": {"subscribe": "anyone", "publish": "anyone"},
    "*": {"subscribe": "anyone"},
}
