"""Reads `history` and `calm`: how much rooms keep, and how often their members are written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeGuard

from shardlayer.core.exceptions import ConfigurationError
from shardlayer.core.types import CalmPolicy, HistoryPolicy

HISTORY_SIZE = 300  # publications
HISTORY_TTL = 300.0  # seconds
NO_HISTORY = HistoryPolicy(size=0, ttl=0.0)

MIN_CALM_RATE = 0.01  # writes a second: one each 100 s
MAX_CALM_RATE = 1_000.0  # writes a second


def read_history(value: object) -> dict[str, HistoryPolicy]:
    """Return the policies of an option `history`, by glob.

    Raises:
        ConfigurationError: It is wrong.
    """
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"history is {value!r}; it takes a dictionary of globs and limits, such as "
            f"{{'*': {{'size': 300, 'ttl': 300}}}}."
        )
    return {str(pattern): _policy(str(pattern), limits) for pattern, limits in value.items()}


def _policy(pattern: str, limits: object) -> HistoryPolicy:
    if limits is None:
        return NO_HISTORY
    if isinstance(limits, HistoryPolicy):
        return limits
    if not isinstance(limits, Mapping) or not set(limits) <= {"size", "ttl", "latest"}:
        raise ConfigurationError(
            f"history[{pattern!r}] is {limits!r}; it takes 'size' (publications), 'ttl' (seconds) "
            f"and 'latest' (True or False), or None for no history."
        )
    size, ttl = limits.get("size", HISTORY_SIZE), limits.get("ttl", HISTORY_TTL)
    if not is_count(size) or size < 0:
        raise ConfigurationError(f"history[{pattern!r}]['size'] is {size!r}; it takes 0 or more.")
    if not is_number(ttl) or ttl <= 0:
        raise ConfigurationError(
            f"history[{pattern!r}]['ttl'] is {ttl!r}; it takes a number of seconds above 0."
        )
    latest = limits.get("latest", False)
    if not isinstance(latest, bool):
        raise ConfigurationError(
            f"history[{pattern!r}]['latest'] is {latest!r}; it takes True or False."
        )
    if latest and not size:
        raise ConfigurationError(
            f"history[{pattern!r}]['latest'] needs a history: a 'size' of 1 or more."
        )
    return HistoryPolicy(size=size, ttl=float(ttl), latest=latest)


def read_calm(value: object) -> dict[str, CalmPolicy]:
    """Return the policies of an option `calm`, by glob. Raises as `read_history` does."""
    if not isinstance(value, Mapping):
        raise ConfigurationError(
            f"calm is {value!r}; it takes a dictionary of globs and limits, such as "
            f"{{'prices.*': {{'max_rate': 5, 'conflate': 'symbol'}}}}."
        )
    return {str(pattern): _calm_policy(str(pattern), limits) for pattern, limits in value.items()}


def _calm_policy(pattern: str, limits: object) -> CalmPolicy:
    if limits is None:
        return CalmPolicy(max_rate=0.0)
    if isinstance(limits, CalmPolicy):
        return limits
    if not isinstance(limits, Mapping) or not set(limits) <= {"max_rate", "conflate"}:
        raise ConfigurationError(
            f"calm[{pattern!r}] is {limits!r}; it takes 'max_rate' (writes a second) and "
            f"'conflate' (the name of a member of the data), or None."
        )
    rate, conflate = limits.get("max_rate"), limits.get("conflate") or ""
    if not is_number(rate) or not (rate == 0 or MIN_CALM_RATE <= rate <= MAX_CALM_RATE):
        raise ConfigurationError(
            f"calm[{pattern!r}]['max_rate'] is {rate!r}; it takes {MIN_CALM_RATE:g} to "
            f"{MAX_CALM_RATE:g} writes a second, or 0 for no limit."
        )
    if not isinstance(conflate, str):
        raise ConfigurationError(
            f"calm[{pattern!r}]['conflate'] is {conflate!r}; it takes the name of a member of the "
            f"data."
        )
    if conflate and not rate:
        raise ConfigurationError(f"calm[{pattern!r}]['conflate'] needs a 'max_rate'.")
    return CalmPolicy(max_rate=float(rate), conflate=conflate)


def is_count(value: object) -> TypeGuard[int]:
    """Tell whether a value is a whole number; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[float]:
    """Tell whether a value is a number; True and False are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)
