"""`bin/audit`: asks pip-audit whether a version in constraints.txt has a known vulnerability.

Exit code 0 if none has, 1 if one has. Where the package index tells nothing of vulnerabilities, a
mirror say, one line says that nothing was audited.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PIP_AUDIT = Path(sys.executable).with_name("pip-audit")
ARGUMENTS = (
    *("--requirement", "constraints.txt", "--no-deps", "--disable-pip"),
    *("--format", "json", "--progress-spinner", "off"),
)


def main() -> int:
    """Audit, say what was found, and return the exit code."""
    environment = dict(os.environ)
    if certificates := environment.get("PIP_CERT"):  # pip's own setting, of a proxy's authority
        environment.setdefault("REQUESTS_CA_BUNDLE", certificates)
    done = subprocess.run([PIP_AUDIT, *ARGUMENTS], capture_output=True, text=True, env=environment)
    try:
        packages = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        why = (done.stderr.strip() or "it said nothing").splitlines()[-1]  # after a traceback
        print(f"bin/audit: pip-audit failed: {why}", file=sys.stderr)
        return 1
    text, code = report(packages)
    print(text)
    return code


def report(packages: list[dict[str, object]]) -> tuple[str, int]:
    """Return what to say of pip-audit's answer, and the exit code."""
    audited = [package for package in packages if "skip_reason" not in package]
    if not audited:
        return (
            f"bin/audit: left out: the package index tells nothing of vulnerabilities "
            f"({len(packages)} packages)",
            0,
        )
    found = [
        f"  {package['name']} {package['version']}: {vulnerability['id']}"
        for package in audited
        for vulnerability in package["vulns"]  # type: ignore[attr-defined]
    ]
    if found:
        return "\n".join(["bin/audit: known vulnerabilities:", *found]), 1
    return f"bin/audit: {len(audited)} of {len(packages)} packages audited, none is vulnerable", 0


if __name__ == "__main__":
    sys.exit(main())
