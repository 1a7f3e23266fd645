"""`manage.py realtime apikey`: makes keys of the HTTP API, lists them, revokes them."""

from __future__ import annotations

import argparse
from typing import Any

import orjson
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from realtime.api.api_keys import make_key
from realtime.management.json_answer import add_json_answer, write_answer
from realtime.management.subcommand_parser import SubcommandParser
from realtime.management.tables import table
from realtime.models import ApiKey

HEAD = ("Name", "Begins", "Rooms", "Announces", "Rate", "Last used", "Revoked")


class ApikeyCommand(BaseCommand):
    """Looks at the database alone."""

    help = "Make, list and revoke the keys of the HTTP API."
    requires_system_checks: list[str] = []
    uses_layer = False

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what to do, and with which key."""
        actions = parser.add_subparsers(
            dest="action", metavar="ACTION", required=True, parser_class=SubcommandParser
        )
        create = _action(actions, "create", "Make a key, and show it once.")
        create.add_argument("name", metavar="NAME", help="The service that uses the key.")
        create.add_argument(
            "--room",
            action="append",
            default=[],
            dest="rooms",
            metavar="PATTERN",
            help="Rooms that the key opens, such as 'orders.*'. May be given several times.",
        )
        create.add_argument("--announce", action="store_true", help="The key may also announce.")
        create.add_argument(
            "--rate",
            type=float,
            default=100.0,
            help="Publications a second, in each process; 0 is no limit (default: %(default)g).",
        )
        add_json_answer(create)
        listing = _action(actions, "list", "List all keys.")
        listing.add_argument("--json", action="store_true", help="All of it as one line of JSON.")
        revoke = _action(actions, "revoke", "Revoke a key.")
        revoke.add_argument("name", metavar="NAME")
        add_json_answer(revoke)

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Do it."""
        if action == "create":
            self._create(**options)
        elif action == "list":
            self._list(**options)
        else:
            self._revoke(**options)

    def _create(
        self, *, name: str, rooms: list[str], announce: bool, rate: float, json: bool, **_: Any
    ) -> None:
        if not rooms and not announce:
            raise CommandError("This key could do nothing: add --room PATTERN, or --announce.")
        made, text = make_key(name, rooms, announces=announce, rate=rate)
        try:
            made.full_clean()
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from error
        made.save()
        write_answer(self, text, {"name": name, "key": text}, json=json)
        self.stderr.write("Copy the key now: it is not stored, and is not shown again.")

    def _list(self, *, json: bool, **_: Any) -> None:
        keys = ApiKey.objects.order_by("name")
        if json:
            found = [
                {
                    "name": key.name,
                    "hint": key.hint,
                    "rooms": key.patterns,
                    "announces": key.announces,
                    "rate": key.rate,
                    "created_at": key.created_at,
                    "used_at": key.used_at,
                    "revoked_at": key.revoked_at,
                }
                for key in keys
            ]
            self.stdout.write(orjson.dumps(found).decode())
            return
        for line in table(HEAD, [_row(key) for key in keys]):
            self.stdout.write(line)

    def _revoke(self, *, name: str, json: bool, **_: Any) -> None:
        revoked = ApiKey.objects.filter(name=name, revoked_at=None).update(
            revoked_at=timezone.now()
        )
        if not revoked:
            raise CommandError(f"There is no valid key {name!r}.")
        write_answer(self, f"Revoked the key {name}.", {"name": name}, json=json)


def _action(actions: Any, name: str, help: str) -> argparse.ArgumentParser:
    made: argparse.ArgumentParser = actions.add_parser(name, help=help, description=help)
    return made


def _row(key: ApiKey) -> tuple[str, ...]:
    return (
        key.name,
        f"{key.hint}…",
        " ".join(key.patterns) or "-",
        "yes" if key.announces else "no",
        f"{key.rate:g}/s" if key.rate else "any",
        "never" if key.used_at is None else f"{key.used_at:%Y-%m-%d %H:%M}",
        "-" if key.revoked_at is None else f"{key.revoked_at:%Y-%m-%d %H:%M}",
    )
