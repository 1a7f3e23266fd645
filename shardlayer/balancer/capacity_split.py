"""How the connections that a machine may hold are split over its workers. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def split_capacity(total: int, limits: Sequence[int]) -> list[int]:
    """Return each worker's share of `total`, in the order of `limits`.

    Shares are as equal as they can be; what a worker's own limit leaves over goes to the others.
    Each worker gets at least one.

    Args:
        total: Connections of all workers together; 0 is no limit.
        limits: Each worker's own limit, 0 for none.

    Returns:
        Connections, 0 for no limit. Their sum is `total` if the workers' own limits allow that and
        there are no more workers than connections.
    """
    if not total:
        return list(limits)
    shares = [0] * len(limits)
    left = total
    # Those with the least of their own first: what they can't take is shared by who comes after.
    order = sorted(range(len(limits)), key=lambda index: limits[index] or total)
    for place, index in enumerate(order):
        workers_left = len(order) - place
        fair = -(-left // workers_left)  # rounded up
        shares[index] = max(1, min(limits[index] or total, fair))
        left = max(0, left - shares[index])
    return shares
