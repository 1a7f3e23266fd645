"""Reads this machine's counters."""

from __future__ import annotations

import time

import psutil

from demo.feed.figures import Reading


def read_machine() -> Reading:
    """Read the counters; a few hundred microseconds.

    A machine that has no disks or no network to see, as in some containers, counts 0.
    """
    per_cpu = psutil.cpu_percent(percpu=True)
    memory = psutil.virtual_memory()
    network = psutil.net_io_counters()
    disk = psutil.disk_io_counters()
    return Reading(
        wall=time.time(),
        clock=time.monotonic(),
        percent=round(sum(per_cpu) / len(per_cpu), 1) if per_cpu else 0.0,
        per_cpu=tuple(per_cpu),
        load=round(psutil.getloadavg()[0], 2),
        memory_percent=memory.percent,
        memory_used=memory.used,
        memory_total=memory.total,
        received=network.bytes_recv if network else 0,
        sent=network.bytes_sent if network else 0,
        read=disk.read_bytes if disk else 0,
        written=disk.write_bytes if disk else 0,
    )
