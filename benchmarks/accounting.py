"""What the operating system says that a process used.

CPU time is read from the process's own CPU clock, which counts nanoseconds of all its threads,
those that ended too, in user and in kernel mode. (utime and stime of /proc/PID/stat are the same
figure cut to ticks of 10 ms; /proc/PID/schedstat is of the first thread only.)
"""

from __future__ import annotations

import time
from pathlib import Path

_CPUCLOCK_SCHED = 2  # of include/uapi/linux/time.h: the scheduler's own count


def cpu_ns(pid: int) -> int:
    """Return the nanoseconds of CPU that a process has used so far.

    The clock's id is what clock_getcpuclockid(3) returns.

    Raises:
        ProcessLookupError: There is no such process any more.
    """
    try:
        return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED)
    except OSError as error:
        raise ProcessLookupError(f"process {pid} is gone") from error


def rss_bytes(pid: int) -> int:
    """Return a process's resident memory.

    From smaps_rollup, which counts the pages: since Linux 6.2 the figure of /proc/PID/statm may
    be some hundred KB off. The kernel's socket buffers belong to no process and are not in it.
    """
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) * 1024
    raise ProcessLookupError(f"process {pid} has no memory any more")
