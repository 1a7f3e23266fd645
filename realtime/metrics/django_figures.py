"""django-prometheus' figures over all processes of a machine, by prometheus_client's own mode.

It keeps each process's values in files, under the process id. So a scrape takes longer with every
process that there ever was, and the files stay. Here they have a slot's number instead.

Source: https://prometheus.github.io/client_python/multiprocess/
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from realtime.metrics.slots import Slot

_slots: list[Slot] = []  # held until the process ends


def share_django_figures(directory: Path | str) -> None:
    """Keep this process's figures of prometheus_client in a directory, as all processes do.

    To be called in the settings: before django-prometheus, or anything else, makes a figure.
    Without prometheus_client it does nothing.

    Raises:
        MetricsDirectoryError: The directory can't be used.
    """
    own = Path(directory) / "django"
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(own)
    try:
        from prometheus_client import values
    except ModuleNotFoundError:
        return
    slot = Slot(own, "process")
    _slots.append(slot)
    make: Any = values.MultiProcessValue
    values.ValueClass = make(process_identifier=lambda: slot.number)
