"""A Redis Cluster of primaries alone, for tests that change which node has which slot."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from redis import Redis

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK
from tests.contract.places import ClusterPlace, cluster_info, tell
from tests.waiting import PATIENCE, wait_until

SLOTS = 16_384
OPTIONS = ("--cluster-enabled", "yes", "--cluster-require-full-coverage", "no")


@contextmanager
def bare_cluster(
    directory: Path, primaries: int, options: Sequence[str] = ()
) -> Iterator[ClusterPlace]:
    """Start primaries without replicas; each serves an equal part of the slots."""
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(
                EmbeddedValkey(directory=directory / str(number), options=(*OPTIONS, *options))
            )
            for number in range(primaries)
        ]
        join(nodes)
        yield ClusterPlace({"hosts": [nodes[0].url], "cluster": True}, [*nodes])


def join(nodes: Sequence[EmbeddedValkey]) -> None:
    """Make nodes that know nothing one Cluster."""
    clients = [Redis.from_url(node.url) for node in nodes]
    for number, client in enumerate(clients):
        first, last = (SLOTS * (number + step) // len(nodes) for step in (0, 1))
        tell(client, "ADDSLOTSRANGE", first, last - 1)
        if number:
            tell(client, "MEET", LOOPBACK, nodes[0].port)

    firsts = {SLOTS * number // len(nodes) for number in range(len(nodes))}

    def all_know_all() -> bool:
        return all(
            {first for first, *_ in tell(client, "SLOTS")} == firsts
            and cluster_info(client)["cluster_state"] == "ok"
            for client in clients
        )

    wait_until(all_know_all, within=PATIENCE)
    for client in clients:
        client.close()
