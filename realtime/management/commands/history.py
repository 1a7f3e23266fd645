"""`manage.py history`: the old name of `manage.py realtime history`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.history_command import HistoryCommand

Command = old_name(HistoryCommand, "history")
