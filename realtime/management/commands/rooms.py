"""`manage.py rooms`: the old name of `manage.py realtime rooms`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.rooms_command import RoomsCommand

Command = old_name(RoomsCommand, "rooms")
