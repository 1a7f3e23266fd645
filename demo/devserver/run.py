"""The course of `bin/dev`: check, start, wait until each part is up, watch, stop."""

from __future__ import annotations

import functools
import math
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NoReturn

from demo.devserver.configuration import render
from demo.devserver.database import prepare_database
from demo.devserver.errors import DevServerError
from demo.devserver.lock import take_lock
from demo.devserver.plan import HOST, REDIS, Plan, make_plan
from demo.devserver.processes import holder_of
from demo.devserver.procfile import read_procfile
from demo.devserver.readiness import gets_live_data, is_up
from demo.devserver.running_demo import noted_as_running
from demo.devserver.steps import Steps, say
from demo.devserver.supervisor import LOGS, Supervisor, socket_path
from demo.devserver.watch import Watch
from demo.embedded.ports import is_free
from demo.embedded.private import make_private_folder, password_of

VAR = Path("var")
SLOW = 30.0  # seconds after which it is told that a part is not up yet, and what it said so far
POLL_INTERVAL = 0.05  # seconds
LOG_LINES = 10  # of a part that ended, or is slow

INFRASTRUCTURE = ("redis", "kafka")  # need no database, so they start before it is ready


def run(environ: Mapping[str, str]) -> NoReturn:
    """Start everything in the Procfile and watch it until a signal's exception ends this.

    Raises:
        DevServerError: A port is taken, or a part ended while it started. Nothing is left
            running.
    """
    commands = read_procfile(environ)
    make_private_folder(VAR)
    plan = make_plan(commands, environ, redis_password=password_of(REDIS))
    with take_lock():
        check_ports(plan)
        shutil.rmtree(LOGS, ignore_errors=True)
        LOGS.mkdir(parents=True)
        configuration = render(
            {name: commands[name] for name in plan.started},
            socket=socket_path(),
            logs=LOGS,
            as_root=os.geteuid() == 0,
        )
        # The parts derive the rest from PORT, as they do under honcho.
        supervisor = Supervisor(configuration, {**environ, "PORT": str(plan.port)})
        try:
            with noted_as_running(VAR, plan.environment(), environ):
                ready = _start(plan, supervisor, environ)
                watch = Watch(supervisor)  # before anybody hears that it watches
                say(ready)
                watch.forever()
        finally:
            steps = Steps()
            steps.begin("stopped")
            supervisor.stop()
            steps.done("stopped")


def check_ports(plan: Plan) -> None:
    """Raise DevServerError for the first port that a part needs and somebody has."""
    for name in plan.started:
        port = plan.port_of(name)
        if port is not None and not is_free(port):
            raise DevServerError(
                f"Port {port} is taken{holder_of(port)}; {name} needs it. "
                "PORT=9000 bin/dev moves everything."
            )


def _start(plan: Plan, supervisor: Supervisor, environ: Mapping[str, str]) -> str:
    """Start the parts in their order; return what to say once the last one works."""
    steps = Steps()
    supervisor.start()

    def start(names: list[str]) -> None:
        for name in names:
            steps.begin(name)
            supervisor.start_part(name)

    start([name for name in plan.started if name in INFRASTRUCTURE])
    steps.begin("database")
    prepared = prepare_database({**environ, **plan.environment()})
    steps.done("database", "brought up to date" if prepared.changed else "up to date")
    start([name for name in plan.started if name not in INFRASTRUCTURE])
    steps.begin("live data")
    for name in plan.started:
        if plan.port_of(name) is not None:
            wait_for(supervisor, name, functools.partial(is_up, plan, name), logs=[name])
            steps.done(name, f"{HOST}:{plan.port_of(name)}")
    through = [name for name in ("feed", "pool") if name in plan.started]
    wait_for(supervisor, "live data", functools.partial(gets_live_data, plan), logs=through)
    steps.done("live data", f"feed -> Kafka -> pool -> Redis -> {len(plan.workers)} workers")
    url = plan.url
    login = " (demo login: admin / admin)" if prepared.demo_admin else ""
    return f"\nReady: {url}/\nAdmin: {url}/admin/{login}\nLogs:  {LOGS}/*.log; Ctrl-C stops all."


def wait_for(
    supervisor: Supervisor, what: str, up: Callable[[], bool], *, logs: Iterable[str]
) -> None:
    """Wait until something is up, and meanwhile see whether any part ends.

    There is no limit: whoever starts it sees that it hangs, and a busy machine is no fault. After
    SLOW it is told once, with the last lines of the parts named in `logs`.

    Raises:
        DevServerError: With the last lines of the part that ended.
    """
    told_at = time.monotonic() + SLOW
    while not up():
        for part in supervisor.states():
            if part.ended:
                raise DevServerError(f"{part.name} ended by itself.{last_lines(part.name)}")
        if time.monotonic() > told_at:
            told_at = math.inf
            shown = "".join(last_lines(name) for name in logs)
            say(f"  {what} is not up after {SLOW:.0f} s; Ctrl-C ends it.{shown}")
        time.sleep(POLL_INTERVAL)


def last_lines(name: str) -> str:
    """Return the end of a part's log as the end of a message."""
    path = LOGS / f"{name}.log"
    lines = path.read_text(errors="replace").splitlines() if path.exists() else []
    shown = lines[-LOG_LINES:] or ["(nothing)"]
    return f"\n{path} ends with:" + "".join(f"\n  {line}" for line in shown)
