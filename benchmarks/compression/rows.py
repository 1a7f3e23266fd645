"""Messages as applications send them: some rows of a table, no two alike."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from benchmarks.peers.ours.emitter import OurEmitter
from benchmarks.stamps import MARK, STAMP_LENGTH

SIZE = 1024  # bytes
_NAMES = ("Aldrin", "Borman", "Cernan", "Duke", "Evans", "Gordon", "Haise", "Irwin", "Lovell")
_STATES = ("open", "paid", "packed", "sent", "returned")


def table(stamp: str, size: int = SIZE) -> bytes:
    """Return JSON of `size` bytes or a little less that carries a stamp (see stamps.py).

    Rows have numbers, names, times and amounts; the same stamp makes the same rows.
    """
    chance = random.Random(stamp)
    rows: list[dict[str, object]] = []
    found = b""
    while True:
        rows.append(
            {
                "id": chance.randrange(10_000_000),
                "customer_name": f"{chance.choice(_NAMES)} {chance.choice(_NAMES)}",
                "status": chance.choice(_STATES),
                "total_amount": chance.randrange(100_000) / 100,
                "currency": "EUR",
                "created_at": f"2026-11-{chance.randrange(1, 31):02}T{chance.randrange(24):02}:"
                f"{chance.randrange(60):02}:{chance.randrange(60):02}Z",
            }
        )
        longer = json.dumps({"stamp": stamp, "orders": rows}, separators=(",", ":")).encode()
        if len(longer) > size:
            return found or longer
        found = longer


class TableEmitter(OurEmitter):
    """Publishes a table with the stamp of each message in its place."""

    async def publish(self, messages: Sequence[bytes]) -> None:
        stamps = []
        for message in messages:
            at = message.index(MARK)
            stamps.append(message[at : at + STAMP_LENGTH].decode())
        await super().publish([table(stamp) for stamp in stamps])
