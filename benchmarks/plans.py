"""Measures as plans: a dataclass each, with its sizes, what a quick look takes, and how it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Protocol, Self, TypeVar

from benchmarks.layer.figures import Figure
from benchmarks.machine import Placement


class Sized(Protocol):
    """A dataclass with a number of `rounds`, of which there is a small one."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    def quick(self) -> Self:
        """Return the same for a look whether all of it works."""
        ...


class Plan(Sized, Protocol):
    """A measure that has the machine's CPUs dealt out to it."""

    def run(self, placement: Placement, folder: Path) -> Iterator[Figure]:
        """Yield the figures of all rounds; logs go into the folder."""
        ...


SizedT = TypeVar("SizedT", bound=Sized)


def sized(plan: SizedT, *, rounds: int | None, quick: bool) -> SizedT:
    """Return a plan as it was asked for.

    Args:
        plan: As it is by default.
        rounds: None for its own number.
        quick: Whether it is only a look whether all works.
    """
    if quick:
        plan = plan.quick()
    return plan if rounds is None else replace(plan, rounds=rounds)


def run_plans(
    plans: Mapping[str, Callable[[], Plan]],
    names: Sequence[str],
    folder: Path,
    *,
    rounds: int | None,
    quick: bool,
) -> Iterator[Figure]:
    """Yield the figures of all rounds of all measures named: see `sized`."""
    placement = Placement.of_machine()
    for name in names:
        yield from sized(plans[name](), rounds=rounds, quick=quick).run(placement, folder)
