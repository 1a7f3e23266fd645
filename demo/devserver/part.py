"""`bin/part NAME COMMAND...`: becomes one part of the Procfile, with its environment.

Supervisor and honcho both start the parts through it. A part that the environment points
elsewhere idles until SIGTERM: honcho would stop all the others if it ended.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from demo.devserver.errors import DevServerError
from demo.devserver.plan import ELSEWHERE, REDIS, make_plan
from demo.devserver.procfile import read_procfile
from demo.embedded.lifeline import end_with_parent
from demo.embedded.private import make_private_folder, password_of


def main(arguments: list[str]) -> int:
    """Replace this process by the part's command; return only when there is none to run."""
    if len(arguments) < 2:
        print("usage: bin/part NAME COMMAND [ARGUMENT...]", file=sys.stderr)
        return 2
    name, *command = arguments
    make_private_folder(REDIS.parent)
    try:
        plan = make_plan(
            read_procfile(os.environ),
            os.environ,
            redis_password=password_of(REDIS),
        )
    except DevServerError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    end_with_parent(os.getppid())
    if name in plan.elsewhere:
        print(f"{name}: not started, {ELSEWHERE[name]} points elsewhere", flush=True)
        return _idle()
    environment = {**os.environ, **plan.environment_of(name)}
    # The virtual environment's commands first, whether or not it was activated.
    scripts = str(Path(sys.executable).parent)
    environment["PATH"] = os.pathsep.join([scripts, environment.get("PATH", os.defpath)])
    command = plan.arguments_of(name, command)
    try:
        os.execvpe(command[0], command, environment)  # noqa: S606 - the Procfile's own command
    except OSError as error:
        print(f"{name}: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


def _idle() -> int:
    stop = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, stop)
    signal.sigwait(stop)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
