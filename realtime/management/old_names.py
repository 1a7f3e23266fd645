"""Commands under the names that they had before `manage.py realtime` took them in."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand


def old_name(command: type[BaseCommand], name: str) -> type[BaseCommand]:
    """Return a command that does the same, and says on standard error how it is called now."""

    class Renamed(command):  # type: ignore[valid-type, misc]
        help = f"{command.help} (Deprecated: use manage.py realtime {name}.)"

        def handle(self, *args: Any, **options: Any) -> Any:
            self.stderr.write(
                self.style.WARNING(
                    f"manage.py {name} is deprecated: use manage.py realtime {name}."
                )
            )
            return super().handle(*args, **options)

    Renamed.__name__ = Renamed.__qualname__ = "Command"
    return Renamed
