"""Relays, one after another, each of which is killed, as by the kernel, at a step.

    python -m tests.realtime.outbox.dying_relays STEP:TIME …

STEP is `taken` (a batch was taken and nothing of it published), `published` (Redis has some and the
database does not know), or `deleted` (the database does). A relay dies the TIMEth time that it
comes there, and says so before. Each is a process of its own, which is forked from this one, so
that Django is loaded once. This one ends with an error if a relay ends in another way.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import django
from django.core.management import call_command


def main(deaths: Sequence[str]) -> None:
    """Run a relay for each death."""
    django.setup()
    for each in deaths:
        step, time = each.split(":")
        if (relay := os.fork()) == 0:
            _run(step, int(time))
        signal.signal(signal.SIGTERM, lambda *_, relay=relay: _stop(relay))
        _, status = os.waitpid(relay, 0)
        if os.waitstatus_to_exitcode(status) != -signal.SIGKILL:
            sys.exit(f"The relay that was to die at {each} ended with {status}.")


def _stop(relay: int) -> NoReturn:
    os.kill(relay, signal.SIGKILL)
    sys.exit(1)


def _run(step: str, time: int) -> NoReturn:
    """Run the relay until it dies."""
    from realtime.outbox.outbox_store import OutboxStore
    from realtime.outbox.relay import OutboxRelay

    times = 0

    def die() -> None:
        nonlocal times
        times += 1
        if times == time:
            os.write(sys.stdout.fileno(), f"Dies at {step}.\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)

    advance, finished = OutboxStore.advance, OutboxRelay._finished

    def dying_advance(
        store: OutboxStore, published: Sequence[int], most: int, **more: Any
    ) -> list[Any]:
        batch = advance(store, published, most, **more)
        if (step == "taken" and batch) or (step == "deleted" and published):
            die()
        return batch

    def dying_finished(relay: OutboxRelay, entries: Sequence[Any]) -> None:
        if step == "published":
            die()
        finished(relay, entries)

    OutboxStore.advance = dying_advance  # type: ignore[method-assign, assignment]
    OutboxRelay._finished = dying_finished  # type: ignore[method-assign, assignment]
    try:
        call_command("runoutbox")
    finally:
        os._exit(1)  # it did not die


if __name__ == "__main__":
    main(sys.argv[1:])
