"""How each part of the Procfile is stopped in production; pure.

What others need is stopped later: first the balancer, so that nobody new comes; then the workers,
side by side, which send their clients away; then those that publish, the pool among them; then
Kafka and Redis.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from demo.devserver.procfile import worker_number

WORKER_WAIT = 45  # seconds until SIGKILL; more than `--shutdown-timeout`, 30


@dataclass(frozen=True, slots=True, kw_only=True)
class PartRule:
    """How one kind of part is run.

    Attributes:
        rank: Parts of a higher one are stopped earlier, and started later; those of one rank
            together.
        wait: Seconds from SIGTERM to SIGKILL.
        embedded: Whether it is the demo's own server, in place of a machine's.
        title: For people.
    """

    rank: int
    wait: int
    title: str
    embedded: bool = False


RULES = {
    "redis": PartRule(rank=10, wait=60, title="embedded Redis", embedded=True),
    "kafka": PartRule(rank=20, wait=60, title="embedded Kafka", embedded=True),
    "pool": PartRule(rank=30, wait=45, title="Kafka pool"),
    "feed": PartRule(rank=30, wait=45, title="the demo's publisher"),
    "balancer": PartRule(rank=50, wait=15, title="balancer"),
}
WORKER = PartRule(rank=40, wait=WORKER_WAIT, title="worker")
OTHER = PartRule(rank=30, wait=45, title="publisher")  # a part that somebody adds to the Procfile


def rule_of(name: str) -> PartRule:
    """Return the rule for a part by its name in the Procfile."""
    if worker_number(name) is not None:
        return WORKER
    return RULES.get(name, OTHER)


def needs(name: str, names: Iterable[str]) -> list[str]:
    """Return which of the parts `names` are stopped after the part `name`, in their order."""
    rank = rule_of(name).rank
    return [other for other in names if rule_of(other).rank < rank]
