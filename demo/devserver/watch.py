"""Watches running parts and tells when one ended and was started again."""

from __future__ import annotations

import time
from typing import NoReturn

from demo.devserver.steps import say
from demo.devserver.supervisor import LOGS, PartState, Supervisor

INTERVAL = 1.0  # seconds


class Watch:
    """Tells of changes between two looks at Supervisor."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._seen = {part.name: part for part in supervisor.states()}

    def forever(self) -> NoReturn:
        """Look once a second, until an exception ends it.

        Raises:
            DevServerError: Supervisor is gone.
        """
        while True:
            time.sleep(INTERVAL)
            for part in self._supervisor.states():
                if text := describe_change(self._seen[part.name], part):
                    say(text)
                self._seen[part.name] = part


def describe_change(before: PartState, now: PartState) -> str:
    """Return what to tell of a part, empty when there is nothing new."""
    if now.ended and not before.ended:
        return f"{now.name} ended by itself and is being started again; see {LOGS / now.name}.log"
    if now.pid and now.pid != before.pid:
        return f"{now.name} was started again (pid {now.pid})"
    return ""
