"""The file that a run leaves behind."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.faults.rows import Row
from benchmarks.layer.figures import Figure
from benchmarks.samples import Connected, Delivered
from benchmarks.targets import Target

Samples = Sequence[Delivered] | Sequence[Connected] | Sequence[Figure] | Sequence[Row]


def write_results(
    path: Path,
    run: Mapping[str, Any],
    samples: Samples,
    targets: Sequence[Target],
) -> None:
    """Write a run as JSON: what it was, every sample, and the targets with their spreads."""
    path.parent.mkdir(parents=True, exist_ok=True)
    results = {
        **run,
        "targets": [{**asdict(target), "reached": target.reached} for target in targets],
        "samples": [asdict(sample) for sample in samples],
    }
    path.write_text(json.dumps(results, indent=1) + "\n")
