"""What the operating system knows of ports and processes."""

from __future__ import annotations

import psutil

KILL_WAIT = 1.0  # seconds for the kernel to reap what was killed


def holder_of(port: int) -> str:
    """Return who listens on a port, as words for an error; empty when it is not to be seen."""
    try:
        connections = psutil.net_connections(kind="tcp")
        for connection in connections:
            listening = connection.status == psutil.CONN_LISTEN and connection.pid
            if listening and connection.laddr and connection.laddr.port == port:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except psutil.Error:  # another user's process, or it just ended
        pass
    return ""


def kill_tree(pid: int) -> None:
    """Kill a process and all its descendants."""
    try:
        root = psutil.Process(pid)
        doomed = [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for process in doomed:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(doomed, timeout=KILL_WAIT)
