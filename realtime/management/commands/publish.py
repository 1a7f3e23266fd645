"""`manage.py publish`: the old name of `manage.py realtime publish`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.publish_command import PublishCommand

Command = old_name(PublishCommand, "publish")
