"""Whether `CHANNEL_LAYERS` and `REALTIME` say what is possible: our own system checks."""

from __future__ import annotations

from collections.abc import Iterator

import django
from django.conf import settings
from django.core.checks import WARNING as DJANGOS_WARNING
from django.core.checks import CheckMessage
from django.core.checks.registry import registry

from realtime.checkup.finding import CheckRequest, Finding, Level, ok
from shardlayer import __version__

_OURS = ("realtime.", "shardlayer.")


def check_settings(asked: CheckRequest) -> Iterator[Finding]:
    """Yield what the system checks of shardlayer and realtime find."""
    found = [
        message
        for check in registry.get_checks(include_deployment_checks=not settings.DEBUG)
        if check.__module__.startswith(_OURS)
        # check_redis asks the servers, and says more of them.
        for message in check(app_configs=None, databases=None, with_servers=False)
        if not message.is_silenced()
    ]
    for message in found:
        yield _finding(message)
    if not found:
        debug = ", DEBUG is on" if settings.DEBUG else ""
        yield ok(
            f"CHANNEL_LAYERS and REALTIME are valid; shardlayer {__version__}, "
            f"Django {django.__version__}{debug}."
        )


def _finding(message: CheckMessage) -> Finding:
    if message.level < DJANGOS_WARNING:
        level = Level.OK
    elif message.is_serious():
        level = Level.FAULT
    else:
        level = Level.WARNING
    return Finding(level=level, text=f"{message.msg} ({message.id})", hint=message.hint or "")
