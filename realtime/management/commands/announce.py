"""`manage.py announce`: the old name of `manage.py realtime announce`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.announce_command import AnnounceCommand

Command = old_name(AnnounceCommand, "announce")
