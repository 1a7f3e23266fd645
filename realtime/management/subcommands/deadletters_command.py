"""`manage.py realtime deadletters`: the records that could not be published."""

from __future__ import annotations

import asyncio
from contextlib import closing
from typing import TYPE_CHECKING, Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from realtime.conf import conf
from realtime.management.arguments import count
from realtime.management.extras import command_extra
from realtime.management.replay_progress import NoProgress, ReplayProgress, progress_for
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
        """Take what to do, with which topics and how many letters, and in which form."""
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
        parser.add_argument(
            "--json",
            action="store_true",
            help="A line of JSON for each letter; of replay, what it did as one line of JSON.",
        )

    def handle(
        self, *args: Any, action: str, topics: list[str] | None, json: bool, **options: Any
    ) -> None:
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
                asyncio.run(self._list(postbox, limit or LIST_LIMIT, json=json))
            else:
                self._tell(self._replayed(postbox, limit, json=json), json=json)
        except TimeoutError as error:
            raise CommandError(f"{postbox}: no answer in time{_doubt(action)}") from error
        except FAILURES as error:
            raise CommandError(f"{postbox}: {told(error)}{_doubt(action)}") from error

    async def _list(self, postbox: Postbox, limit: int, *, json: bool) -> None:
        await postbox.probe()
        shown = total = 0
        async for item in postbox.letters():
            total += 1
            if shown < limit:
                shown += 1
                self.stdout.write(_json_line(item) if json else _line(item))
        if not json:
            more = f", {shown} shown." if shown < total else "."
            self.stdout.write(f"{total} dead letters{more}")
        elif shown < total:
            self.stderr.write(f"There are more: {total:,}. These are the first {shown:,}.")

    def _replayed(self, postbox: Postbox, limit: int | None, *, json: bool) -> Replayed:
        shows = self.stdout.isatty() and not json
        with closing(progress_for(self._write) if shows else NoProgress()) as progress:
            return asyncio.run(_replay(postbox, limit, progress))

    def _write(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _tell(self, done: Replayed, *, json: bool) -> None:
        if json:
            self.stdout.write(orjson.dumps(done).decode())
            return
        self.stdout.write(f"Sent {done.sent} dead letters again; {done.left} are left.")
        if done.repeats:
            self.stdout.write(f"{done.repeats} were there twice, and were sent once.")
        if done.strangers:
            self.stdout.write(f"{done.strangers} were not dead letters, and were skipped.")


def _doubt(action: str) -> str:
    """Return what is to be said of an action that Kafka did not answer to its end."""
    return ". Some may have been sent; another replay sends the rest." if action == "replay" else ""


async def _replay(postbox: Postbox, limit: int | None, progress: ReplayProgress) -> Replayed:
    await postbox.probe()
    return await postbox.replay(limit, on_progress=progress.show)


def _json_line(item: Filed) -> str:
    """Return a letter as a line of JSON: the record, where the letter lies, and why it is there."""
    letter = item.letter
    fields = {
        "topic": None if letter is None else letter.topic,
        "partition": None if letter is None else letter.partition,
        "offset": None if letter is None else letter.offset,
        "error": None if letter is None else letter.error,
        "key": _text(item.record.key),
        "value": _text(item.record.value),
        "size": item.size,
        "replayed": item.replayed,
        "letter": {
            "topic": item.at.topic,
            "partition": item.at.partition,
            "offset": item.offset,
        },
    }
    return orjson.dumps(fields).decode()


def _text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")


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
