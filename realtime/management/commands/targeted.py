"""`manage.py targeted`: the old name of `manage.py realtime targeted`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.targeted_command import TargetedCommand

Command = old_name(TargetedCommand, "targeted")
