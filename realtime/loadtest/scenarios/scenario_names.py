"""The scenarios of `manage.py realtime loadtest`: a new one is a line here and a file beside."""

from __future__ import annotations

from collections.abc import Mapping

from django.utils.module_loading import import_string

from realtime.loadtest.scenarios.load_scenario import LoadScenario, LoopbackScenario

_HERE = "realtime.loadtest.scenarios"

SCENARIOS: Mapping[str, str] = {
    "connect": f"{_HERE}.connect_scenario.ConnectScenario",
    "broadcast": f"{_HERE}.broadcast_scenario.BroadcastScenario",
    "targeted": f"{_HERE}.targeted_scenario.TargetedScenario",
    "verify-routing": f"{_HERE}.verify_routing_scenario.VerifyRoutingScenario",
    "dispatch-metrics": f"{_HERE}.dispatch_metrics_scenario.DispatchMetricsScenario",
    "capacity": f"{_HERE}.capacity_scenario.CapacityScenario",
    "soak": f"{_HERE}.soak_scenario.SoakScenario",
    "matrix": f"{_HERE}.matrix_scenario.MatrixScenario",
    "redis-kill": f"{_HERE}.redis_kill_scenario.RedisKillScenario",
    "storm": f"{_HERE}.storm_scenario.StormScenario",
}
"""By name, in the order of the help: the class, as a dotted path."""


def scenario(name: str) -> type[LoadScenario | LoopbackScenario]:
    """Return the class of a scenario."""
    found: type[LoadScenario | LoopbackScenario] = import_string(SCENARIOS[name])
    return found
