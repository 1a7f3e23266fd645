"""`manage.py runoutbox` that is killed, as by the kernel, at a step.

    python -m tests.realtime.outbox.dying_relay STEP TIME

STEP is `taken` (a batch was taken and nothing of it published), `published` (Redis has some and the
database does not know), or `deleted` (the database does). It dies the TIMEth time that it comes
there.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any

import django
from django.core.management import call_command


def main(step: str, time: int) -> None:
    """Run the relay until it dies."""
    django.setup()
    from realtime.outbox.outbox_store import OutboxStore
    from realtime.outbox.relay import OutboxRelay

    times = 0

    def die() -> None:
        nonlocal times
        times += 1
        if times == time:
            os.kill(os.getpid(), signal.SIGKILL)

    advance, finished = OutboxStore.advance, OutboxRelay._finished

    def dying_advance(store: OutboxStore, published: Sequence[int], most: int) -> list[Any]:
        batch = advance(store, published, most)
        if (step == "taken" and batch) or (step == "deleted" and published):
            die()
        return batch

    def dying_finished(relay: OutboxRelay, entries: Sequence[Any]) -> None:
        if step == "published":
            die()
        finished(relay, entries)

    OutboxStore.advance = dying_advance  # type: ignore[method-assign, assignment]
    OutboxRelay._finished = dying_finished  # type: ignore[method-assign, assignment]
    call_command("runoutbox")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
