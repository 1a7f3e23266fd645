"""`manage.py unsubscribe`: the old name of `manage.py realtime unsubscribe`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.unsubscribe_command import UnsubscribeCommand

Command = old_name(UnsubscribeCommand, "unsubscribe")
