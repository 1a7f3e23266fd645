"""What each client of a swarm lacks in the end, by number."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from realtime.loadtest.swarm.load_person import UNKNOWN, LoadPerson

_SHOWN: Final = 100  # places that are named; all are counted


class Completeness:
    """Compares what clients have with what was published.

    Args:
        published: How many numbers each room had, by index as text.
        uncertain: Room and number of publications that were not acknowledged: a client may have
            them or not.
    """

    def __init__(self, published: Mapping[str, int], uncertain: Iterable[tuple[int, int]]) -> None:
        self._goals = {int(room): count for room, count in published.items()}
        self._uncertain: dict[int, set[int]] = defaultdict(set)
        for room, number in uncertain:
            self._uncertain[room].add(number)

    def _tails(self, person: LoadPerson) -> Iterator[tuple[int, int, int]]:
        """Yield room, first number and end of what may still come."""
        if person.ordered_off:
            return
        for room, expected in person.expected.items():
            goal = self._goals.get(room, 0)
            if UNKNOWN < expected < goal:
                yield from self._certain(room, expected, goal)

    def _certain(self, room: int, first: int, end: int) -> Iterator[tuple[int, int, int]]:
        """Yield the parts of a range that were acknowledged."""
        unsure = self._uncertain.get(room)
        if not unsure:
            yield room, first, end
            return
        for number in sorted(number for number in unsure if first <= number < end):
            if first < number:
                yield room, first, number
            first = number + 1
        if first < end:
            yield room, first, end

    def is_behind(self, person: LoadPerson) -> bool:
        """Return whether something may still come."""
        return any(True for _ in self._tails(person))

    def _missing(self, person: LoadPerson) -> list[tuple[int, int, int]]:
        found = list(self._tails(person))
        for room, first, end in person.gaps:
            found.extend(self._certain(room, first, end))
        return found

    def answer(self, people: Iterable[LoadPerson]) -> dict[str, Any]:
        """Return how many are complete, how many publications are missing, and where."""
        checked = complete = missing = 0
        places: list[tuple[int, str, int, int, int]] = []
        for person in people:
            lacks = self._missing(person)
            if not person.ordered_off:
                checked += 1
                complete += not lacks
            missing += sum(end - first for _, first, end in lacks)
            shown = lacks[: max(0, _SHOWN - len(places))]
            places.extend((person.number, person.node or "", *each) for each in shown)
        return {"checked": checked, "complete": complete, "missing": missing, "places": places}
