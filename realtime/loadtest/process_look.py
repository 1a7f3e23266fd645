"""What the operating system says of a process of this machine."""

from __future__ import annotations

import os
import time
from typing import Final, NamedTuple

_CPUCLOCK_SCHED: Final = 2  # of include/uapi/linux/time.h: the scheduler's own count


class ProcessLook(NamedTuple):
    """What a process has open.

    Attributes:
        descriptors: Files and sockets.
        threads: Its threads.
    """

    descriptors: int
    threads: int


def look_at_process(pid: int) -> ProcessLook | None:
    """Return what a process has; None: there is none of that number, or it is another user's."""
    try:
        return ProcessLook(len(os.listdir(f"/proc/{pid}/fd")), len(os.listdir(f"/proc/{pid}/task")))
    except OSError:
        return None


def machine_ticks() -> tuple[int, int]:
    """Return the ticks that the CPUs of this machine were busy, and all ticks, since it started."""
    with open("/proc/stat") as file:
        ticks = [int(each) for each in file.readline().split()[1:9]]
    idle, waiting = ticks[3], ticks[4]
    return sum(ticks) - idle - waiting, sum(ticks)


def cpu_ns(pid: int) -> int:
    """Return the nanoseconds of CPU that a process has used so far.

    They are of its own CPU clock, which counts all its threads, those that ended too, in user and
    in kernel mode. (utime and stime of /proc/PID/stat are the same figure cut to ticks of 10 ms;
    /proc/PID/schedstat is of the first thread only.) Its id is what clock_getcpuclockid(3) returns.

    Raises:
        ProcessLookupError: There is no such process any more.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessLookupError(f"process {pid} is gone") from error


def cpu_seconds(pid: int) -> float:
    """Return the CPU that a process has used so far: see `cpu_ns`."""
    return cpu_ns(pid) / 1e9
