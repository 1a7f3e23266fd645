"""A load test while it runs: what scenarios work with."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, NamedTuple, Self, TypeVar
from uuid import uuid4

from realtime.loadtest.crew.agent_helper import AgentHelper
from realtime.loadtest.crew.load_figures import LoadFigures
from realtime.loadtest.crew.load_helper import LoadHelper
from realtime.loadtest.crew.load_process import LoadProcess
from realtime.loadtest.load_failed import LoadFailed
from realtime.loadtest.load_target import LoadTarget
from realtime.loadtest.metrics_reading import MetricsReader, MetricsReading
from realtime.loadtest.reporting.live_view import LoadView
from realtime.loadtest.swarm.load_person import UNKNOWN
from realtime.room_tokens import sign_room
from realtime.sharded_layer import sharded_layer

Told = TypeVar("Told")

_SAMPLE_EVERY: Final = 1.0  # seconds
SETTLES: Final = 1.0  # seconds that `finish` waits for the last reports
_ROOM_OPEN_FOR: Final = 24 * 3600.0  # seconds that a test may last
_FOREVER: Final = 7 * 24 * 3600.0  # seconds; each connection gives up long before
_SOURCES: Final = 200  # loopback addresses that clients come from


class LoadClient(NamedTuple):
    """A client that is to connect.

    Attributes:
        number: Which of the test's clients it is.
        rooms: The indexes of its rooms.
        token: What signs it in; empty: nothing.
    """

    number: int
    rooms: Sequence[int]
    token: str = ""


class Missing(NamedTuple):
    """What a client has not got.

    Attributes:
        client: Its number.
        node: Where it was connected last.
        room: The index of the room.
        first: The first number that is missing.
        end: The number behind the last one.
        began: When the first of them was published, in seconds since the epoch.
        ended: When the last of them was.
    """

    client: int
    node: str
    room: int
    first: int
    end: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Finish:
    """What clients had when all was published.

    Attributes:
        checked: Clients that should have everything.
        complete: Those that have.
        missing: Publications that clients have not got, over all of them.
        places: What is missing, the first of it.
    """

    checked: int
    complete: int
    missing: int
    places: Sequence[Missing]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionOptions:
    """What every scenario takes.

    Attributes:
        targets: Who is tested: the ways into one deployment, which clients take in turn.
        origin: The header of the handshakes; empty: that of each target.
        processes: How many processes of this machine hold clients.
        agents: Host and port of agents, each as often as it holds a process.
        agent_key: What they must know.
        environ: What the environment of the publishing process has beside this one's.
        room_prefix: How the names of the test's rooms begin.
        signs_rooms: Whether tokens open the rooms; else the deployment's rules must.
        way: How to publish: the name of a way, and its arguments.
        metrics: Who asks `/metrics`.
        per_address: Connections from one address of loopback; 0: all come from the usual one.
    """

    targets: Sequence[LoadTarget]
    origin: str
    processes: int
    room_prefix: str
    signs_rooms: bool
    way: Mapping[str, Any]
    metrics: MetricsReader
    per_address: int
    agents: Sequence[tuple[str, int]] = ()
    agent_key: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)


class LoadSession:
    """Has the processes, and asks them together.

    Args:
        options: See there.
        view: Where it is shown how it goes.

    Attributes:
        figures: What the processes reported.
        rooms: The names of the test's rooms.
        shards: The shard of each.
        published: By room, how many numbers were used.
        failures: How many publications were not acknowledged, by why.
        latest: The largest time by which the publisher was late, in seconds.
    """

    def __init__(self, options: SessionOptions, view: LoadView) -> None:
        self.options = options
        self.view = view
        self.figures = LoadFigures()
        self.rooms: list[str] = []
        self.shards: list[int] = []
        self.published: dict[int, int] = {}
        self.failures: dict[str, int] = {}
        self.latest = 0.0
        self._uncertain: list[tuple[int, int]] = []
        self._swarms: list[LoadHelper] = []
        self._publisher: LoadHelper | None = None
        self._sampler: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Start the processes."""
        try:
            return await self._start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise

    async def _start(self) -> Self:
        for number in range(self.options.processes):
            swarm = await LoadProcess.start(
                f"clients-{number + 1}", "realtime.loadtest.swarm", self.figures.take
            )
            self._swarms.append(swarm)
        for number, address in enumerate(self.options.agents):
            name = f"agent-{number + 1} {address[0]}:{address[1]}"
            agent = await AgentHelper.connect(
                name, address, self.options.agent_key, self.figures.take
            )
            self._swarms.append(agent)
        self._sampler = asyncio.create_task(self._sample())
        return self

    @property
    def clock_doubt(self) -> float:
        """Seconds by which delays may be wrong, as clocks of machines differ."""
        doubts = [each.doubt for each in self._swarms if isinstance(each, AgentHelper)]
        return max(doubts, default=0) / 1e9

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes."""
        if self._sampler is not None:
            self._sampler.cancel()
            await asyncio.gather(self._sampler, return_exceptions=True)
        helpers = [*self._swarms, *filter(None, [self._publisher])]
        await asyncio.gather(*(helper.aclose() for helper in helpers), return_exceptions=True)
        self.view.close()

    async def _sample(self) -> None:
        while True:
            await asyncio.sleep(_SAMPLE_EVERY)
            self.view.show(self.figures, self.figures.sample())

    # --- What scenarios do ------------------------------------------------------------------

    async def prepare(
        self, rooms: int, *, reconnects: bool = False, keeps_positions: bool = True
    ) -> None:
        """Make names for so many rooms, which are new, and tell the swarms of them.

        Args:
            rooms: How many.
            reconnects: Whether clients that are cut off come back by themselves.
            keeps_positions: Whether they resume then where they were.
        """
        run = uuid4().hex[:8]
        self.rooms = [f"{self.options.room_prefix}.{run}.{number}" for number in range(rooms)]
        layer = sharded_layer() if self.options.way["way"] == "publish" else None
        self.shards = [layer.shard_of(room) if layer else UNKNOWN for room in self.rooms]
        signs = self.options.signs_rooms
        tokens = [sign_room(room, expires=_ROOM_OPEN_FOR) if signs else "" for room in self.rooms]
        setup: dict[str, Any] = {
            "targets": [target.told(self.options.origin) for target in self.options.targets],
            "rooms": list(zip(self.rooms, tokens, self.shards, strict=True)),
            "keeps_positions": keeps_positions,
            "reconnects": reconnects,
        }
        await asyncio.gather(
            *(swarm.ask("setup", offset=swarm.offset, **setup) for swarm in self._swarms)
        )

    async def open(
        self, people: Sequence[LoadClient], *, pace: float = 0, at_once: int = 64
    ) -> int:
        """Connect clients, and return how many are subscribed when all are settled.

        Args:
            people: They; those that left come back where they were.
            pace: How many begin in a second; 0: as many as `at_once` lets.
            at_once: How many may be under way.
        """
        count = len(self._swarms)
        told = ((who.number, (*who, self._source(who.number))) for who in people)
        answers = await asyncio.gather(
            *(
                swarm.ask(
                    "open",
                    within=_FOREVER,
                    people=part,
                    at_once=max(1, at_once // count),
                    pace=pace / count,
                )
                for swarm, part in self._dealt(told)
            )
        )
        return sum(answer["ready"] for answer in answers)

    def _dealt(self, told: Iterable[tuple[int, Told]]) -> Iterator[tuple[LoadHelper, list[Told]]]:
        """Yield the processes that hold clients of these numbers, each with what it is told."""
        parts: list[list[Told]] = [[] for _ in self._swarms]
        for number, what in told:
            parts[number % len(parts)].append(what)
        return ((swarm, part) for swarm, part in zip(self._swarms, parts, strict=True) if part)

    def _source(self, number: int) -> str:
        """Return the address a client comes from: a server limits what one may have."""
        per_address = self.options.per_address
        if not per_address or not all(
            target.address.startswith("127.") for target in self.options.targets
        ):
            return ""
        # Clients take addresses in turn, so a quick start is spread over them too.
        return f"127.77.0.{number // per_address % _SOURCES + 1}"

    async def leave(self, people: Sequence[int], *, politely: bool) -> None:
        """Have clients go: with a close frame, or without a word."""
        await asyncio.gather(
            *(
                swarm.ask("leave", people=part, politely=politely)
                for swarm, part in self._dealt((who, who) for who in people)
            )
        )

    async def switch(self, moves: Sequence[tuple[int, list[int], list[int]]]) -> int:
        """Have clients leave rooms and join others; return how many did.

        Args:
            moves: Client, indexes of the rooms to leave, and of those to join.
        """
        answers = await asyncio.gather(
            *(
                swarm.ask("switch", within=60, moves=part)
                for swarm, part in self._dealt((move[0], move) for move in moves)
            )
        )
        return sum(answer["moved"] for answer in answers)

    async def where(self) -> dict[int, str]:
        """Return the node of each client that is subscribed."""
        answers = await self._ask_swarms("where")
        return {int(who): node for told in answers for who, node in told["where"].items()}

    async def publish(
        self, *, rate: float, count: int, size: int, rooms: Sequence[int] | None = None
    ) -> None:
        """Publish, and return when all is acknowledged or has failed.

        Args:
            rate: Publications a second; 0: as fast as they are taken.
            count: How many.
            size: Bytes of each one's data.
            rooms: Indexes of the rooms, which are taken in turn; None: all.

        Raises:
            LoadFailed: It can't be published at all.
        """
        publisher = await self._start_publisher()
        chosen = range(len(self.rooms)) if rooms is None else rooms
        answer = await publisher.ask(
            "publish",
            within=_FOREVER,
            rooms=[(room, self.rooms[room]) for room in chosen],
            rate=rate,
            count=count,
            size=size,
        )
        if "error" in answer:
            raise LoadFailed(f"It can't be published: {answer['error']}")
        self.published = {int(room): number for room, number in answer["numbers"].items()}
        self.failures = answer["failures"]
        self._uncertain = answer["uncertain"]
        self.latest = max(self.latest, answer["latest"])

    async def _start_publisher(self) -> LoadHelper:
        if self._publisher is None:
            publisher = await LoadProcess.start(
                "publisher",
                "realtime.loadtest.publishing",
                self.figures.take,
                self.options.environ,
            )
            self._publisher = publisher
            first_room = f"{self.rooms[0].rpartition('.')[0]}.nobody"
            answer = await publisher.ask(
                "setup", within=60, first_room=first_room, **self.options.way
            )
            if "error" in answer:
                raise LoadFailed(f"It can't be published: {answer['error']}")
        return self._publisher

    async def metrics(self) -> MetricsReading:
        """Return the figures of the deployment and of what publishes here.

        Raises:
            LoadFailed: `/metrics` can't be asked.
        """
        answer = await (await self._start_publisher()).ask("figures")
        own = {
            (name, frozenset(labels.items())): float(value)
            for name, labels, value in answer["figures"]
        }
        return await self.options.metrics.read() + MetricsReading(own)

    def publisher_cpu(self) -> float:
        """Return the seconds of CPU that the publishing process had used at its last report."""
        process = self.figures.processes.get("publisher")
        return 0.0 if process is None else process.cpu

    async def begin(self) -> None:
        """Have all that is published from here on be expected, in rooms without history too."""
        await self._start_publisher()
        await self._ask_swarms("begin")

    async def finish(self, *, patience: float) -> Finish:
        """Wait until clients have all that was published, at most so many seconds."""
        answers = await self._ask_swarms(
            "finish",
            within=patience + 30,
            published={str(room): count for room, count in self.published.items()},
            uncertain=self._uncertain,
            patience=patience,
        )
        await asyncio.sleep(SETTLES)  # for the reports of what has come by now
        places = [place for answer in answers for place in answer["places"]]
        times = await self._times([place[2:] for place in places])
        return Finish(
            checked=sum(answer["checked"] for answer in answers),
            complete=sum(answer["complete"] for answer in answers),
            missing=sum(answer["missing"] for answer in answers),
            places=[Missing(*place, *when) for place, when in zip(places, times, strict=True)],
        )

    async def _times(self, parts: Sequence[Sequence[int]]) -> Sequence[Sequence[float]]:
        """Return when each part was published: what `Missing` has of it.

        Args:
            parts: Room, first number and end.
        """
        if not parts:
            return []
        answer = await (await self._start_publisher()).ask("times", parts=parts)
        times: Sequence[Sequence[float]] = answer["times"]
        return times

    async def _ask_swarms(
        self, do: str, *, within: float = 30, **arguments: Any
    ) -> list[dict[str, Any]]:
        asked = (swarm.ask(do, within=within, **arguments) for swarm in self._swarms)
        return list(await asyncio.gather(*asked))
