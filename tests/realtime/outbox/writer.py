"""Writes into the outbox, in many transactions at once, and says what it committed.

    python -m tests.realtime.outbox.writer TRANSACTIONS THREADS SETTLE

Each thread has a room of its own and writes 3 publications with a transaction. Every fifth
transaction is rolled back. After TRANSACTIONS of each thread, or at SIGTERM, but after five at
least, it prints the numbers that were committed, as JSON, by room. A transaction stays open for up
to SETTLE seconds, so transactions commit in another order than they begin in. Between them a thread
pauses, so that the relay gets its turn on a database that has one writer at a time.
"""

from __future__ import annotations

import json
import random
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import django

ROLLED_BACK = 5  # one of so many transactions


class Undo(Exception):
    """Rolls a transaction back."""


def main(transactions: int, threads: int, settle: float) -> None:
    """Write, and print what was committed."""
    stopped = Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    django.setup()
    from django.db import connection, transaction

    from realtime import publish_on_commit

    def write(thread: int) -> list[int]:
        committed = []
        for number in range(transactions):
            if number >= ROLLED_BACK and stopped.is_set():
                break
            numbers = [number * 3 + each for each in range(3)]
            try:
                with transaction.atomic():
                    for each in numbers:
                        publish_on_commit(f"outbox.{thread}", {"number": each}, outbox=True)
                    time.sleep(random.uniform(0, settle))
                    if number % ROLLED_BACK == ROLLED_BACK - 1:
                        raise Undo
            except Undo:
                continue
            committed += numbers
            time.sleep(random.uniform(0, 2 * threads * settle))
        connection.close()
        return committed

    with ThreadPoolExecutor(threads) as pool:
        written = list(pool.map(write, range(threads)))
    rooms = {f"outbox.{thread}": numbers for thread, numbers in enumerate(written)}
    sys.stdout.write(json.dumps(rooms) + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]))
