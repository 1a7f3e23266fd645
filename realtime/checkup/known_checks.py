"""The checks of `manage.py realtime check`: a new one is a line here and a file beside."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.module_loading import import_string

from realtime.checkup.finding import Check

_HERE = "realtime.checkup"

CHECKS: Mapping[str, str] = {
    "settings": f"{_HERE}.settings_check.check_settings",
    "secrets": f"{_HERE}.secrets_check.check_secrets",
    "redis": f"{_HERE}.redis_check.check_redis",
    "layer": f"{_HERE}.layer_check.check_layer",
    "kafka": f"{_HERE}.kafka_check.check_kafka",
    "database": f"{_HERE}.database_check.check_database",
    "routing": f"{_HERE}.routing_check.check_routing",
    "origin": f"{_HERE}.origin_check.check_origin",
    "static": f"{_HERE}.static_check.check_static",
    "limits": f"{_HERE}.limits_check.check_limits",
    "metrics": f"{_HERE}.metrics_check.check_metrics",
}
"""By name, in the order in which they are shown: a `Check`, as a dotted path."""


def known_check(name: str) -> Check:
    """Return the function of a check."""
    found: Check = import_string(CHECKS[name])
    return found
