"""`manage.py disconnect`: the old name of `manage.py realtime disconnect`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.disconnect_command import DisconnectCommand

Command = old_name(DisconnectCommand, "disconnect")
