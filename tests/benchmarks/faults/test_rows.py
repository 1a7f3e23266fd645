"""What a row says is broken, and the targets that follow from rows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.faults.catalogue import FAULTS, chosen
from benchmarks.faults.plan import FULL, JOIN, POOL, SMALL, Plan
from benchmarks.faults.rows import JOINING, KILLS, Row
from benchmarks.faults.system import ALWAYS
from benchmarks.faults.tables import COLUMNS, cells, faults_table
from benchmarks.faults.targets import faults_targets
from benchmarks.tables import targets_table

GOOD = Row(
    fault="kill-worker",
    what="a worker killed",
    victim=0,
    seconds=2.0,
    forgets=False,
    pause_limit_ms=2000.0,
    published=10,
    acknowledged=10,
    silent=0,
    delivered=20,
    lost=0,
    twice=0,
    misordered=0,
    told=0,
    notices=0,
    asked_again=0,
    ended=1,
    pause_ms=900.0,
    pause_mended_ms=800.0,
    well_ms=700.0,
)


STUCK = replace(GOOD, pause_ms=None, pause_mended_ms=None, well_ms=None)
PAUSE = "kill-worker: a client's longest pause, once all should be well"


def missed(*rows: Row) -> list[str]:
    """Return the measures that were not reached."""
    return [target.measure for target in faults_targets(rows) if target.reached is False]


def test_good_row() -> None:
    """Nothing is broken, and every target that was measured is reached."""
    assert GOOD.broken == 0
    assert missed(GOOD) == []


@pytest.mark.parametrize("count", ["lost", "twice", "misordered", "told"])
def test_one_delivery_fails_the_run(count: str) -> None:
    """One row with one delivery that is not as promised is enough."""
    bad = replace(GOOD, **{count: 1})  # type: ignore[arg-type]  # (a count by its name)
    assert bad.broken == 1
    assert len(missed(GOOD, bad, GOOD)) == 1


def test_message_without_acknowledgement_fails_the_run() -> None:
    """What a source began to send must have been acknowledged in the end."""
    bad = replace(GOOD, acknowledged=9)
    assert bad.broken == 1
    assert missed(bad) == ["messages not acknowledged"]


def test_what_was_told_is_no_loss_where_a_redis_forgot() -> None:
    """Its promise is that clients are told."""
    told = replace(GOOD, forgets=True, told=5)
    assert told.broken == 0
    assert missed(told) == []


def test_fault_that_does_not_end_fails_the_run() -> None:
    """Every client has to hear from every source again, except where clients come and go."""
    assert missed(GOOD, STUCK, GOOD) == ["faults that did not end well", PAUSE]
    assert missed(replace(GOOD, fault=JOINING, well_ms=None)) == []


def test_pause_that_is_not_over_is_within_no_limit() -> None:
    """Its target says so, beside the pauses of faults that did end."""
    for rows in ([STUCK], [GOOD, GOOD, STUCK]):
        [target] = [each for each in faults_targets(rows) if each.measure == PAUSE]
        assert (target.reached, target.lacking, target.promise) == (False, "never", False)
        [shown] = targets_table([target]).columns[2].cells
        assert str(shown).endswith("never")


@pytest.mark.parametrize("name", [JOINING, KILLS, GOOD.fault])
def test_slice_in_which_nothing_was_published_fails_the_run(name: str) -> None:
    """All that is judged is 0 then, and says nothing."""
    empty = replace(GOOD, fault=name, published=0, acknowledged=0, delivered=0, silent=1)
    assert missed(GOOD, empty) == ["sources that published nothing"]
    [line] = printed(empty)
    assert line["fault"] == f"{GOOD.what}: nothing was published"
    assert line["red"]
    [line] = printed(GOOD, replace(GOOD, silent=1))
    assert line["fault"] == f"{GOOD.what}: a source published nothing"
    assert line["red"]


def test_long_pause_is_a_target_but_no_promise() -> None:
    """A quick look on a busy machine does not fail for it."""
    slow = faults_targets([replace(GOOD, pause_mended_ms=2001.0)])
    assert [target.promise for target in slow if target.reached is False] == [False]


def test_cells_stand_below_their_headings() -> None:
    """Rows that are printed as they come make a table."""
    assert [len(cell) for cell in cells(GOOD)] == [len(heading) for heading in COLUMNS]


# Every figure another one, so that each says where it stands.
DISTINCT = replace(
    GOOD,
    published=1_001,
    acknowledged=1_002,
    delivered=1_003,
    lost=4,
    twice=5,
    misordered=6,
    told=7,
    notices=8,
    asked_again=9,
    ended=10,
    pause_ms=1_011.0,
    pause_mended_ms=12.0,
    well_ms=13.0,
)
UNDER = {
    **{"published": "1,001", "acked": "1,002", "delivered": "1,003", "lost": "4", "twice": "5"},
    **{"disorder": "6", "told": "7", "notices": "8"},
    **{"pause ms": "1,011", "after ms": "12", "well ms": "13"},
}


def printed(*rows: Row) -> list[dict[str, str]]:
    """Return the lines of the table, each by its headings; `red` where a line is."""
    table = faults_table(rows)
    columns = [(str(column.header), list(map(str, column.cells))) for column in table.columns]
    return [
        {heading: found[number] for heading, found in columns}
        | ({"red": str(line.style)} if line.style else {})
        for number, line in enumerate(table.rows)
    ]


def test_each_figure_stands_below_its_heading() -> None:
    """In the lines that come one by one, and in the table."""
    line = {
        title.strip(): cell.strip() for title, cell in zip(COLUMNS, cells(DISTINCT), strict=True)
    }
    assert line == {"fault": "kill-worker", "for": "2.0 s", **UNDER}
    [row] = printed(DISTINCT)
    assert row == {"fault": GOOD.what, "times": "1", **UNDER, "red": "bold red"}


def test_line_of_several_has_their_sums_and_longest_times() -> None:
    """None of them is left out, wherever it stands; another fault has a line of its own."""
    other = replace(GOOD, what="the pool killed")
    slow = replace(GOOD, twice=3, told=1, pause_ms=5_000.0, pause_mended_ms=0.0, well_ms=4_000.0)
    [first, second] = printed(slow, other, replace(GOOD, lost=2), GOOD)
    assert first["times"] == "3"
    found = [first[name] for name in ("published", "acked", "lost", "twice", "told", "disorder")]
    assert found == ["30", "30", "2", "3", "1", "0"]
    assert [first[name] for name in ("pause ms", "after ms", "well ms")] == [
        "5,000",
        "800",
        "4,000",
    ]
    assert first["red"]
    assert second["times"] == "1"
    assert "red" not in second


@pytest.mark.parametrize("name", ["lost", "twice", "misordered", "told", "well_ms", "acknowledged"])
def test_one_bad_row_of_several_is_red(name: str) -> None:
    """Also one that did not end well: the longest time of the others does not stand for it."""
    bad = STUCK if name == "well_ms" else replace(GOOD, **{name: 9})  # type: ignore[arg-type]
    [line] = printed(GOOD, bad, GOOD)
    assert line["red"]
    times = [line[each] for each in ("pause ms", "after ms", "well ms")]
    assert times == (["never"] * 3 if bad is STUCK else ["900", "800", "700"])
    assert [cell.strip() for cell in cells(bad)[-3:]] == times


@pytest.mark.parametrize("name", [JOINING, KILLS])
def test_times_of_what_is_no_single_fault_are_not_shown(name: str) -> None:
    """They say nothing, and nothing is red."""
    row = replace(GOOD, fault=name, well_ms=None)
    assert [cell.strip() for cell in cells(row)[-3:]] == ["-"] * 3
    [line] = printed(row)
    assert [line[each] for each in ("pause ms", "after ms", "well ms")] == [""] * 3
    assert "red" not in line


def test_faults_of_the_catalogue_have_lines_of_their_own() -> None:
    """Two of one description would be one line, which adds them up."""
    assert len({fault.what for fault in FAULTS.values()}) == len(FAULTS)


def test_random_faults_are_those_of_the_seed() -> None:
    """The same seed is the same run, and no fault of it makes a Redis forget."""
    assert chosen(30, 7, durable=True) == chosen(30, 7, durable=True)
    assert chosen(30, 7, durable=True) != chosen(30, 8, durable=True)
    for fault, victim, seconds in chosen(200, 7, durable=False):
        assert not fault.forgets
        assert not fault.durable
        assert victim in range(fault.victims)
        assert 0 <= seconds <= fault.hold
    # Nor one that takes servers which keep their data in another way.
    assert {fault.name for fault, _, _ in chosen(500, 7, durable=True)} == {
        fault.name for fault in FAULTS.values() if not fault.forgets and fault.disk == ALWAYS
    }


@pytest.mark.parametrize("plan", [FULL, SMALL, JOIN, POOL])
def test_every_room_has_members(plan: Plan) -> None:
    """Else what is published there is not looked at."""
    seats = [room for rooms in plan.seats for room in rooms]
    assert set(seats) == set(plan.names)
    assert all(len(set(rooms)) == plan.rooms_each for rooms in plan.seats)
