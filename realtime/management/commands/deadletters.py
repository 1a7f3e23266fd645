"""`manage.py deadletters`: the old name of `manage.py realtime deadletters`."""

from realtime.management.old_names import old_name
from realtime.management.subcommands.deadletters_command import DeadLettersCommand

Command = old_name(DeadLettersCommand, "deadletters")
