"""Notes what was published to channels, or sent to clients, which therefore reached nobody.

Rooms and groups share one namespace: `publish()` reaches clients, and `group_send()` reaches
channels. A sender that uses the wrong one would not learn of it.
"""

from __future__ import annotations

import logging

logger = logging.getLogger(__name__)


class Misdirected:
    """Counts it for one node, and warns of each way once.

    Attributes:
        count: Publications and messages that came for rooms with members of the other kind alone.
    """

    def __init__(self) -> None:
        self.count = 0
        self._warned: set[str] = set()

    def publication(self, room: str) -> None:
        """Note one that came for a room whose members are Channels channels."""
        self._note(
            room,
            "publish() to %s reaches none of its members here: they are Channels channels, which "
            "get what group_send() sends. This is said once and counted as `misdirected`",
        )

    def message(self, group: str) -> None:
        """Note one that came for a group whose members are sinks."""
        self._note(
            group,
            "group_send() to %s reaches none of its members here: they are clients of rooms, which "
            "get what publish() publishes. This is said once and counted as `misdirected`",
        )

    def _note(self, name: str, warning: str) -> None:
        self.count += 1
        if warning not in self._warned:
            self._warned.add(warning)
            logger.warning(warning, name)
