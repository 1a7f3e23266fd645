"""What is switched off for a measurement is there, and comes back."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.peers.ours.peer import OURS

pytestmark = pytest.mark.slow

PROGRAM = """
import signal
from benchmarks.observing import switched_application as module
def now():
    return [getattr(owner, name) for owner, name, _ in module._SWITCHED]
real = now()
signal.raise_signal(module.OFF)
print(len(real), sum(a is b for a, b in zip(real, now())))
signal.raise_signal(module.ON)
print(now() == real)
"""


@pytest.mark.parametrize(("samples", "switched"), [("0", 1), ("1", 3)])
def test_all_is_switched_off_and_on_again(samples: str, switched: int) -> None:
    """Whoever renames what the benchmark reaches for finds it here."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **OURS.environment, "OBSERVING_SAMPLES": samples},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [str(switched), "0", "True"], done.stderr
