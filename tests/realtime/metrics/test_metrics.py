"""`/metrics` of a real system: right over its processes, read by the real promtool."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families
from websockets.sync.client import connect
from websockets.typing import Origin

from demo.embedded import EmbeddedValkey, free_port
from realtime.metrics.exposition import exposition
from realtime.metrics.figures import FIGURES, PREFIX
from realtime.metrics.snapshots import Snapshot
from shardlayer.core.sharding import shard_of
from tests.realtime.process import BIN, Process, manage
from tests.tools import find
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

KEY = "the key of the operators"


class Worker:
    """A worker of the project, and what it tells Prometheus."""

    def __init__(self, redis: EmbeddedValkey, directory: Path, log: Path) -> None:
        self.port = free_port()
        self.process = Process(
            [str(BIN / "shardlayer-daphne"), "-p", str(self.port), "config.asgi:application"],
            log=log,
            DJANGO_SETTINGS_MODULE="tests.realtime.metrics.metrics_settings",
            REDIS_URL=redis.url,
            METRICS_DIRECTORY=str(directory),
            DATABASE_URL=f"sqlite:///{directory.parent}/db.sqlite3",
        )

    def wait(self) -> None:
        """Return when it answers."""
        self.process.serves(self.port)

    def text(self, **headers: str) -> str:
        """Return what `/metrics` says."""
        request = Request(f"http://127.0.0.1:{self.port}/metrics", headers=headers)
        with urlopen(request, timeout=PATIENCE) as response:
            return str(response.read(), "utf-8")

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """Return a figure's values by role, worker and what other labels it has."""
        found: dict[tuple[str, ...], float] = {}
        for family in text_string_to_metric_families(self.text()):
            for sample in family.samples:
                if sample.name == PREFIX + name:
                    labels = dict(sample.labels)
                    own = labels.pop("role"), labels.pop("worker")
                    found[(*own, *labels.values())] = sample.value
        return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """Where the processes share their figures."""
    return tmp_path / "metrics"


@pytest.fixture
def workers(
    redis_server: EmbeddedValkey, tmp_path: Path, directory: Path
) -> Iterator[tuple[Worker, Worker]]:
    """Two workers of one machine."""
    first, second = (Worker(redis_server, directory, tmp_path / f"{n}.log") for n in range(2))
    with first.process:
        first.wait()
        with second.process:
            second.wait()
            yield first, second


def test_any_worker_tells_of_all(workers: tuple[Worker, Worker]) -> None:
    """Clients in both, publications of one: the counts are each process's own, and right."""
    url = "ws://127.0.0.1:{}/ws/?room=machine.m"
    one, two = (
        connect(url.format(worker.port), origin=Origin(f"http://127.0.0.1:{worker.port}"))
        for worker in workers
    )
    with one, two:
        for client in (one, two):
            assert "subscribed" in json.loads(client.recv(PATIENCE))
        for number in range(1, 21):
            command = {"id": number, "publish": {"room": "machine.m", "data": number}}
            one.send(json.dumps(command))
        received = [json.loads(two.recv(PATIENCE)) for _ in range(20)]
        assert len(received) == 20
        shard = str(shard_of("machine.m", 32))  # the workers' own room is in another
        name = "shard_deliveries_total"
        expected = {("worker", "0", shard): 20, ("worker", "1", shard): 20}
        for worker in workers:
            wait_until(lambda: expected.items() <= worker.values(name).items(), within=PATIENCE)  # noqa: B023
        assert workers[0].values("deliveries_total")["worker", "1"] == 20
        published = "publications_total"  # its acknowledgement may come after the deliveries
        wait_until(lambda: workers[1].values(published)["worker", "0"] >= 20, within=PATIENCE)
        assert workers[0].values("subscriptions") == {("worker", "0"): 1, ("worker", "1"): 1}
        assert workers[0].values("connections")["worker", "1"] >= 1
        assert workers[1].values("shard_up")["worker", "0", "31"] == 1
        assert workers[0].values("batch_size_count")["worker", "0"] > 0
        assert workers[0].values("batch_size_sum")["worker", "0"] >= 20
        assert workers[0].values("delivered_bytes_total")["worker", "0"] > 20 * 20
        dispatched = workers[0].values("dispatch_total")
        assert sum(dispatched["worker", "0", kind] for kind in ("targeted", "fallback")) >= 20
        assert workers[0].values("delivery_seconds_count")["worker", "0"] > 0
        assert workers[0].values("event_loop_delay_seconds_count")["worker", "0"] > 0


def test_dead_process_is_gone_and_its_number_free(
    workers: tuple[Worker, Worker], redis_server: EmbeddedValkey, tmp_path: Path, directory: Path
) -> None:
    """A killed worker leaves no figures; the next one has its number."""
    first, second = workers
    both = {("worker", "0"), ("worker", "1")}
    wait_until(lambda: set(first.values("rooms")) == both, within=PATIENCE)
    second.process.send(9)
    wait_until(lambda: not second.process.runs())
    assert set(first.values("rooms")) == {("worker", "0")}
    third = Worker(redis_server, directory, tmp_path / "third.log")
    with third.process:
        third.wait()
        wait_until(lambda: set(first.values("rooms")) == both, within=PATIENCE)
        third.process.stop()
    assert set(first.values("rooms")) == {("worker", "0")}
    assert sorted(path.name for path in directory.glob("worker-*.json")) == ["worker-0.json"]


def test_emptied_directory_is_filled_again(workers: tuple[Worker, Worker], directory: Path) -> None:
    """Who tidies up takes no worker's figures away: each takes a number anew."""
    for file in [*directory.glob("*.*"), *(directory / "django").glob("*.*")]:
        file.unlink(missing_ok=True)  # a worker may just rename it
    (directory / "django").rmdir()
    both = {("worker", "0"), ("worker", "1")}
    for worker in workers:
        wait_until(lambda: set(worker.values("rooms")) == both, within=PATIENCE)  # noqa: B023


def test_worker_starts_with_a_directory_that_cant_be_used(
    redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """It tells its own figures, and says in its log why they are all."""
    taken = tmp_path / "taken"
    taken.write_text("no directory")
    worker = Worker(redis_server, taken, tmp_path / "worker.log")
    with worker.process:
        worker.wait()
        assert set(worker.values("rooms")) == {("worker", "0")}
        assert "/metrics shows only this process's own figures" in worker.process.output()
        assert "Django's figures are not shared" in worker.process.output()
        assert worker.process.stop() == 0


@pytest.mark.parametrize(("room", "files"), [(0, 1), (2**62, 0)], ids=["room", "full"])
def test_full_disk_ends_no_process(tmp_path: Path, room: int, files: int) -> None:
    """A file that is mapped into memory has no holes, as one on a full disk ends the process."""
    code = (
        "import sys; from realtime.metrics import django_figures\n"
        "django_figures.ROOM = int(sys.argv[2])\n"
        "django_figures.share_django_figures(sys.argv[1])\n"
        "from prometheus_client import Counter\n"
        "counter = Counter('seen', 'Seen.'); counter.inc(3)\n"
        "print(counter.collect()[0].samples[0].value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), str(room)],
        text=True,
        capture_output=True,
        check=True,
    )
    assert done.stdout.strip() == "3.0"
    assert ("MiB are free" in done.stderr) == (not files)
    made = [path.stat() for path in (tmp_path / "django").glob("*.db")]
    assert len(made) == files
    if sys.platform == "linux":
        assert all(file.st_blocks * 512 >= file.st_size for file in made)


def test_strangers_are_refused(workers: tuple[Worker, Worker]) -> None:
    """Behind a proxy only who has the key may look."""
    worker, _ = workers
    with pytest.raises(HTTPError) as refused:
        worker.text(**{"X-Forwarded-For": "192.0.2.1"})
    with refused.value:
        assert refused.value.code == 403
    headers = {"X-Forwarded-For": "192.0.2.1", "Authorization": f"Bearer {KEY}"}
    assert PREFIX in worker.text(**headers)


def test_pool_and_outbox_have_figures_at_any_worker(
    workers: tuple[Worker, Worker],
    redis_server: EmbeddedValkey,
    tmp_path: Path,
    directory: Path,
) -> None:
    """A process without a port is read with the others."""
    environ = {
        "DJANGO_SETTINGS_MODULE": "tests.realtime.metrics.metrics_settings",
        "REDIS_URL": redis_server.url,
        "METRICS_DIRECTORY": str(directory),
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
    }
    migrate = Process(manage("migrate", "-v", "0"), log=tmp_path / "migrate.log", **environ)
    with migrate:
        wait_until(lambda: not migrate.runs(), within=PATIENCE)
    with Process(manage("runoutbox"), log=tmp_path / "outbox.log", **environ):
        worker, _ = workers
        wait_until(
            lambda: worker.values("outbox_published_total") == {("outbox", "0"): 0},
            within=PATIENCE,
        )


@pytest.mark.needs("promtool")
def test_promtool_finds_nothing_to_mend(workers: tuple[Worker, Worker]) -> None:
    """Names, types and help texts are as Prometheus wants them."""
    promtool = str(find("promtool"))
    ours = "".join(line for line in workers[0].text().splitlines(keepends=True) if PREFIX in line)
    checked = subprocess.run(
        [promtool, "check", "metrics"], input=ours, text=True, capture_output=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")


def test_scrape_tells_eight_workers_apart(tmp_path: Path) -> None:
    """Each has its number."""
    code = (
        "import sys, time; from pathlib import Path; import django; django.setup()\n"
        "from realtime.metrics.exposition import exposition\n"
        "from realtime.metrics.slots import Slot\n"
        "from realtime.metrics.snapshots import *\n"
        "import json\n"
        "directory = Path(sys.argv[1])\n"
        "slots = [Slot(directory, 'worker') for _ in range(8)]\n"
        "figures = json.loads(sys.argv[2])\n"
        "[write_snapshot(directory, Snapshot(role='worker', worker=s.number, figures=figures))"
        " for s in slots]\n"
        "text, kind = exposition(read_snapshots(directory), '')\n"
        "print(text.count(b'\\nshardlayer_rooms{'))"
    )
    figures = json.dumps({"rooms": 3, "batch_size": {"bounds": [1], "counts": [1, 2], "sum": 9}})
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "metrics"), figures],
        text=True,
        capture_output=True,
        check=True,
        env={"DJANGO_SETTINGS_MODULE": "tests.realtime.metrics.metrics_settings", "PATH": "/bin"},
    )
    assert done.stdout.split()[-1] == "8"


def test_figure_with_two_labels_has_both() -> None:
    """Its values are told apart by each of them."""
    figures = {"api_requests_total": {"publish,ok": 3, "batch,too_large": 1}}
    text, _ = exposition([Snapshot(role="worker", worker=2, figures=figures)], "")
    for endpoint, outcome, count in (("publish", "ok", 3), ("batch", "too_large", 1)):
        labels = f'endpoint="{endpoint}",outcome="{outcome}",role="worker",worker="2"'
        assert f"shardlayer_api_requests_total{{{labels}}} {count}.0" in text.decode()


def test_docs_have_each_figure() -> None:
    """docs/metrics.md has the table of all figures, in its own words."""
    rows = [
        f"| `{PREFIX}{figure.name}` | {figure.kind} | "
        f"{f'`{figure.label}`' if figure.label else ''} | {figure.help} |"
        for figure in FIGURES
    ]
    text = (Path(__file__).parents[3] / "docs" / "metrics.md").read_text()
    table = [line for line in text.splitlines() if line.startswith(f"| `{PREFIX}")]
    assert table == rows, "\n".join(rows)
