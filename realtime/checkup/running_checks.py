"""Runs checks: all at the same time, each in a thread that nobody waits for past its deadline."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.core.exceptions import ImproperlyConfigured
from django.db import connections

from realtime.checkup.finding import Check, CheckRequest, Finding, Level, fault
from realtime.checkup.hidden_secrets import without_secrets

THREAD = "realtime check"  # begins the threads' names


@dataclass(slots=True, kw_only=True)
class Run:
    """One check under way.

    Attributes:
        name: Of the check.
        findings: What it has found so far.
        is_done: Whether that is all.
    """

    name: str
    findings: list[Finding] = field(default_factory=list)
    is_done: bool = False


def run_checks(
    checks: Mapping[str, Check], asked: CheckRequest, *, deadline: float
) -> dict[str, list[Finding]]:
    """Return what each check finds, by its name, within `deadline` seconds; raises nothing.

    One that takes longer, or fails itself, is a fault after what it has found until then; so is one
    for which the system starts no thread. No text has a secret of the settings in it, or a second
    line.
    """
    runs = [Run(name=name) for name in checks]
    started = (_start(run, checks[run.name], asked) for run in runs)
    threads = [thread for thread in started if thread is not None]
    end = time.monotonic() + deadline
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    return {run.name: _told(run, deadline) for run in runs}


def are_running() -> bool:
    """Tell whether a check still runs that nobody waits for."""
    return any(thread.name.startswith(THREAD) for thread in threading.enumerate())


def _start(run: Run, check: Check, asked: CheckRequest) -> threading.Thread | None:
    """Start a check's thread; None, and a fault of the check, if the system starts none."""
    thread = threading.Thread(
        target=_run, args=(run, check, asked), name=f"{THREAD} {run.name}", daemon=True
    )
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        run.findings.append(
            fault(
                f"Not checked: the system starts no thread: {error}",
                "Raise the limit on threads or on memory, of the user or of the container.",
            )
        )
        run.is_done = True
        return None
    return thread


def _run(run: Run, check: Check, asked: CheckRequest) -> None:
    try:
        for finding in check(asked):
            run.findings.append(finding)
    except ImproperlyConfigured as error:
        run.findings.append(fault(f"Not checked: {error}", "Correct the settings first."))
    except BaseException as error:
        run.findings.append(
            fault(
                f"The check itself failed: {type(error).__name__}: {error}",
                "Check what the settings name. If that is right, report it as a bug.",
            )
        )
    finally:
        run.is_done = True
        connections.close_all()  # of this thread


def _told(run: Run, deadline: float) -> list[Finding]:
    is_done = run.is_done  # before its findings are read
    found = list(run.findings)
    if not is_done:
        found.append(
            fault(
                f"No answer within {deadline:g} s.",
                "Something that the check asks does not answer. --timeout gives it more time.",
            )
        )
    return [
        Finding(level=each.level, text=_line(each.text), hint=_line(each.hint)) for each in found
    ]


def worst(findings: list[Finding]) -> Level:
    """Return the worst level of some findings; OK of none."""
    levels = {each.level for each in findings}
    return next((level for level in (Level.FAULT, Level.WARNING) if level in levels), Level.OK)


def _line(text: str) -> str:
    return " ".join(without_secrets(text).split())
