"""`manage.py realtime deadletters`: the records that could not be published."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.conf import conf
from realtime.management.arguments import count
from realtime.management.extras import command_extra
from realtime.management.tables import harmless

if TYPE_CHECKING:
    from realtime.kafka.letters.filed_letters import Filed
    from realtime.kafka.letters.postbox import Postbox, Replayed

FIRST_BYTES = 60  # of a payload that are shown
LIST_LIMIT = 100  # letters


class DeadLettersCommand(BaseCommand):
    """Looks at the topics `<topic>.dlq`; runs beside any number of pools."""

    help = (
        "Show the dead letters, which are records that could not be published, or send them to "
        "their topics again."
    )
    requires_system_checks: list[str] = []  # they would ask Redis, which has no part in this
    uses_layer = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, with which topics and how many letters."""
        parser.add_argument("action", choices=("list", "replay"))
        parser.add_argument(
            "--topic",
            nargs="+",
            dest="topics",
            metavar="TOPIC",
            help="The topics whose dead letters are meant, without the suffix of dead letters "
            "(default: KAFKA_TOPICS).",
        )
        parser.add_argument(
            "--limit",
            type=count,
            help=f"How many letters at most (default: list shows {LIST_LIMIT}, replay sends all).",
        )

    def handle(self, *args: Any, action: str, topics: list[str] | None, **options: Any) -> None:
        """Do it, once."""
        with command_extra("kafka"):
            from realtime.kafka.advice import FAILURES, told
            from realtime.kafka.brokers import KafkaSettingsError
            from realtime.kafka.configured import configured_postbox
            from realtime.kafka.reporting import quiet_aiokafka
        quiet_aiokafka()
        try:
            postbox = configured_postbox(conf(), topics)
        except KafkaSettingsError as error:
            raise CommandError(str(error)) from error
        limit: int | None = options["limit"]
        try:
            if action == "list":
                asyncio.run(self._list(postbox, limit or LIST_LIMIT))
            else:
                self._tell(asyncio.run(self._replay(postbox, limit)))
        except TimeoutError as error:
            raise CommandError(f"{postbox}: no answer in time") from error
        except FAILURES as error:
            raise CommandError(f"{postbox}: {told(error)}") from error

    async def _list(self, postbox: Postbox, limit: int) -> None:
        await postbox.probe()
        shown = total = 0
        async for item in postbox.letters():
            total += 1
            if shown < limit:
                shown += 1
                self.stdout.write(_line(item))
        self.stdout.write(f"{total} dead letters" + (f", {shown} shown." if shown < total else "."))

    async def _replay(self, postbox: Postbox, limit: int | None) -> Replayed:
        await postbox.probe()
        return await postbox.replay(limit)

    def _tell(self, done: Replayed) -> None:
        self.stdout.write(f"Sent {done.sent} dead letters again; {done.left} are left.")
        if done.repeats:
            self.stdout.write(f"{done.repeats} were there twice, and were sent once.")
        if done.strangers:
            self.stdout.write(f"{done.strangers} were not dead letters, and were skipped.")


def _line(item: Filed) -> str:
    """Return a letter as a line: where the record was, its size, its key, why, how it begins."""
    value = item.record.value or b""
    key = "no key" if item.record.key is None else harmless(item.record.key[:FIRST_BYTES])
    letter = item.letter
    if letter is None:
        where, error = f"{item.at.topic}/{item.at.partition}", "no dead letter"
        offset = item.offset
    else:
        where, error = f"{letter.topic}/{letter.partition}", harmless(letter.error.encode())
        offset = letter.offset
    again = "  (sent again)" if item.replayed else ""
    begin = harmless(value[:FIRST_BYTES])
    return f"{where} {offset}  {len(value):,} bytes  {key}  {error}{again}  {begin}".rstrip()
