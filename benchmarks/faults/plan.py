"""How large the system is; pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Rooms, clients, and who publishes how much.

    The rates keep what a client misses during the longest fault within the default history.

    Attributes:
        rooms: How many there are, on all servers alike.
        clients: How many clients.
        rooms_each: Rooms that each client follows.
        rate: Messages/s to each room, of each source.
        group: Rooms that a source sends to at once.
        session: Milliseconds until the group gives up a consumer that fell silent; by default the
            least that Kafka allows by default.
        kafka: Whether there are a broker, a pool and a producer.
        keys: Whether the publisher's messages carry idempotency keys.
        restless: Whether clients leave and come back again and again.
    """

    rooms: int = 64
    clients: int = 32
    rooms_each: int = 4
    rate: float = 5.0
    group: int = 1
    session: int = 6_000
    kafka: bool = True
    keys: bool = True
    restless: bool = False

    @property
    def names(self) -> list[str]:
        """The rooms' names."""
        return [f"room-{number}" for number in range(self.rooms)]

    @property
    def seats(self) -> list[list[str]]:
        """The rooms of each client: every room has as many, give or take one."""
        names = self.names
        return [
            [
                names[(client * self.rooms_each + seat) % self.rooms]
                for seat in range(self.rooms_each)
            ]
            for client in range(self.clients)
        ]


FULL = Plan()
SMALL = Plan(rooms=16, clients=8, session=2_000)
JOIN = Plan(
    rooms=200,
    clients=200,
    rooms_each=2,
    rate=25.0,
    group=20,
    kafka=False,
    keys=False,
    restless=True,
)
POOL = Plan(rooms=200, clients=100, rooms_each=2, rate=5.0, keys=False)
