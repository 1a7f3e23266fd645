"""What a client gets beside what it must get."""

from __future__ import annotations

from realtime.loadtest.load_stamp import stamped
from realtime.loadtest.swarm.completeness import Completeness
from realtime.loadtest.swarm.delivery_check import DeliveryCheck
from realtime.loadtest.swarm.load_connection import LoadConnection
from realtime.loadtest.swarm.load_person import LoadPerson

ROOMS = [("room-a", ""), ("room-b", "")]


class Client:
    """One client of two rooms, from number 0 on, and what it is given."""

    def __init__(self) -> None:
        self.check = DeliveryCheck(ROOMS, [0, 1], offset=0, keeps_positions=True)
        self.person = LoadPerson(7, [0, 1], "", "")
        for room in (0, 1):
            self.check.joined(self.person, room, 0, "first")

    def gets(
        self,
        number: int,
        *,
        room: int = 0,
        named: str = "",
        replayed: bool = False,
        sent: int = 0,
    ) -> None:
        """Hand it a push."""
        text = b'{"room":"%b","offset":%d,"data":%b%b}' % (
            (named or ROOMS[room][0]).encode(),
            number + 1,
            stamped(room, number, sent, 100),
            b',"replayed":true' if replayed else b"",
        )
        LoadConnection.BUFFER[: len(text)] = text
        assert self.check.take_push(self.person, 0, len(text), 1_000)

    def lacks(
        self, published: dict[str, int], uncertain: tuple[tuple[int, int], ...] = ()
    ) -> list[tuple[int, ...]]:
        """Return room, first number and end of what it lacks."""
        answer = Completeness(published, uncertain).answer([self.person])
        assert answer["complete"] == (not answer["places"])
        assert answer["missing"] == sum(place[4] - place[3] for place in answer["places"])
        return [place[2:] for place in answer["places"]]


def test_all_in_order_is_complete() -> None:
    """Both rooms count for themselves."""
    client = Client()
    for number in range(3):
        client.gets(number)
        client.gets(number, room=1)
    assert client.lacks({"0": 3, "1": 3}) == []
    report = client.check.report()
    assert sum(cell["delays"]["counts"][0][1] for _, _, cell in report["cells"]) == 6
    assert not any(client.check.counts.values())
    assert client.person.positions == {0: (3, ""), 1: (3, "")}


def test_gap_and_end_are_missing() -> None:
    """What was skipped, and what never came."""
    client = Client()
    client.gets(0)
    client.gets(3)
    assert client.lacks({"0": 6, "1": 0}) == [(0, 4, 6), (0, 1, 3)]
    assert client.check.counts["missed"] == 2


def test_late_one_closes_its_gap() -> None:
    """It is out of order, but not lost."""
    client = Client()
    for number in (0, 3, 2, 1):
        client.gets(number)
    assert client.lacks({"0": 4}) == []
    assert client.check.counts["missed"] == 0
    assert client.check.counts["disordered"] == 2
    assert [(fault["kind"], fault["number"]) for fault in client.check.faults] == [
        *(("disordered", 2), ("disordered", 1))
    ]


def test_second_time_is_double() -> None:
    """It is told with its way."""
    client = Client()
    client.gets(0)
    client.gets(0)
    [fault] = client.check.report()["faults"]
    assert (fault["kind"], fault["client"], fault["room"], fault["number"]) == ("doubled", 7, 0, 0)


def test_each_fault_has_the_time_of_its_stamp() -> None:
    """Whatever was wrong, and also of what came in the answer to a subscription."""
    client = Client()
    for number, sent in ((0, 10), (3, 40), (1, 20), (1, 20)):
        client.gets(number, sent=sent)
    client.gets(2, named="room-b", sent=30)
    data = {"stamp": stamped(0, 3, 40, 0).decode()[10:].partition('"')[0]}
    client.check.take_recovered(client.person, 0, data)
    assert [(fault["kind"], fault["sent"]) for fault in client.check.faults] == [
        *(("disordered", 20), ("doubled", 20), ("wrong", 30), ("doubled", 40))
    ]


def test_wrong_envelope_and_wrong_room_are_wrong() -> None:
    """A publication of one room must come as one of that room, and to its members."""
    client = Client()
    client.gets(0, named="room-b")
    client.person.expected.pop(1)
    client.gets(0, room=1)
    assert client.check.counts["wrong"] == 2
    assert client.check.counts["doubled"] == client.check.counts["missed"] == 0


def test_recovered_ones_count_apart() -> None:
    """They say nothing of how late a delivery is."""
    client = Client()
    client.gets(0, replayed=True)
    data = {"stamp": stamped(0, 1, 0, 0).decode()[10:].partition('"')[0]}
    client.check.take_recovered(client.person, 0, data)
    assert client.check.counts["recovered"] == 2
    assert client.lacks({"0": 2}) == []


def test_not_acknowledged_is_not_missing() -> None:
    """Nobody promised it."""
    client = Client()
    client.gets(0)
    client.gets(3)
    assert client.lacks({"0": 6}, ((0, 1), (0, 2), (0, 5))) == [(0, 4, 5)]


def test_room_that_counts_anew_has_no_number() -> None:
    """After Redis lost it, offsets say nothing of numbers: whatever comes first is right."""
    client = Client()
    client.gets(0)
    for offset, epoch in ((1, "second"), ((1 << 40) + 1, "first")):
        client.person.expected.pop(0, None)
        client.check.joined(client.person, 0, offset, epoch)
        client.gets(500)
        client.gets(502)
    assert client.check.counts["missed"] == 2
