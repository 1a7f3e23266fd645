"""The subcommands of `manage.py realtime`: a new one is a line here and a file beside."""

from __future__ import annotations

from collections.abc import Mapping

from django.core.management.base import BaseCommand
from django.utils.module_loading import import_string

_HERE = "realtime.management.subcommands"

SUBCOMMANDS: Mapping[str, str] = {
    "check": f"{_HERE}.check_command.CheckCommand",
    "status": f"{_HERE}.status_command.StatusCommand",
    "rooms": f"{_HERE}.rooms_command.RoomsCommand",
    "room": f"{_HERE}.room_command.RoomCommand",
    "nodes": f"{_HERE}.nodes_command.NodesCommand",
    "shards": f"{_HERE}.shards_command.ShardsCommand",
    "kafka": f"{_HERE}.kafka_command.KafkaCommand",
    "history": f"{_HERE}.history_command.HistoryCommand",
    "publish": f"{_HERE}.publish_command.PublishCommand",
    "announce": f"{_HERE}.announce_command.AnnounceCommand",
    "disconnect": f"{_HERE}.disconnect_command.DisconnectCommand",
    "unsubscribe": f"{_HERE}.unsubscribe_command.UnsubscribeCommand",
    "apikey": f"{_HERE}.apikey_command.ApikeyCommand",
    "deadletters": f"{_HERE}.deadletters_command.DeadLettersCommand",
    "loadtest": f"{_HERE}.loadtest_command.LoadtestCommand",
    "targeted": f"{_HERE}.targeted_command.TargetedCommand",
    "completion": f"{_HERE}.completion_command.CompletionCommand",
}
"""By name, in the order of the help: a subclass of BaseCommand, as a dotted path."""


def subcommand(name: str) -> type[BaseCommand]:
    """Return the class of a subcommand."""
    found: type[BaseCommand] = import_string(SUBCOMMANDS[name])
    return found
