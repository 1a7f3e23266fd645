"""Each recipe's own code, with the real worker or server, publishes to a real Redis."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime import history
from tests.realtime.conftest import channel_layers
from tests.waiting import PATIENCE, wait_until

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "recipes.md").read_text()
BLOCKS = re.findall(r"```python\n# (shop/\w+\.py)\n(.*?)```", PAGE, re.DOTALL)
END = 20.0  # seconds for a worker to end once it was told to

ASK_CELERY = "from shop.celery import app; app.send_task('shop.tasks.report_done', [7])"
ASK_RQ = (
    "import os; from redis import Redis; from rq import Queue; "
    "Queue(connection=Redis.from_url(os.environ['REDIS_URL'])).enqueue('shop.jobs.report_done', 7)"
)
ASK_DRAMATIQ = "from shop.actors import report_done; report_done.send(7)"


@pytest.fixture
def project(tmp_path: Path, redis_server: EmbeddedValkey, settings: Settings) -> Project:
    """The page's project, with a Redis for its queue and its rooms."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").touch()
    for name, source in BLOCKS:
        (tmp_path / name).write_text(source)
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    return Project(tmp_path, redis_server.url)


class Project:
    """A folder with a project, whose programs run in processes of their own."""

    def __init__(self, folder: Path, redis_url: str) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PYTHONPATH": f"{folder}:{ROOT}",
            "DJANGO_SETTINGS_MODULE": "shop.settings",
            "REDIS_URL": redis_url,
            "SECRET_KEY": "of a test",
        }

    def run(self, *words: str) -> None:
        """Run a Python program to its end."""
        subprocess.run(
            [sys.executable, *words],
            check=True,
            cwd=self._folder,
            env=self._environment,
            timeout=120,
            capture_output=True,
        )

    @contextmanager
    def running(self, *words: str) -> Iterator[Path]:
        """Run a Python program inside the block, and end it by SIGTERM; yields its log."""
        log = self._folder / "log"
        with log.open("w") as output:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self._folder,
                env=self._environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                yield log
                assert process.poll() is None, log.read_text()
            finally:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(END)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def reports() -> list[int]:
    """Return what was published."""
    return [item.data["report"] for item in history("reports", limit=1_000).publications]


def test_page_has_all_of_them() -> None:
    """Each block with a file's name is there once; nothing else is Python."""
    assert len(BLOCKS) == len(dict(BLOCKS)) == PAGE.count("```python")


@pytest.mark.parametrize(
    ("worker", "ask"),
    [
        (("celery", "-A", "shop", "worker", "--pool", "prefork", "-c", "2"), ASK_CELERY),
        (("celery", "-A", "shop", "worker", "--pool", "threads", "-c", "2"), ASK_CELERY),
        (("celery", "-A", "shop", "worker", "--pool", "solo"), ASK_CELERY),
        (("shop.rq_worker",), ASK_RQ),
        (("dramatiq", "shop.actors", "--processes", "1", "--threads", "2"), ASK_DRAMATIQ),
    ],
    ids=["celery-prefork", "celery-threads", "celery-solo", "rq", "dramatiq"],
)
def test_worker_publishes(project: Project, worker: Sequence[str], ask: str) -> None:
    """What a task publishes is in the room; a task that runs twice publishes once."""
    with project.running("-m", *worker) as log:
        for _ in range(2):
            project.run("-c", ask)
        try:
            wait_until(lambda: reports() == [7], within=60)
            project.run("-c", ask.replace("7", "8"))
            wait_until(lambda: reports() == [7, 8], within=60)
        except TimeoutError:
            pytest.fail(log.read_text()[-3_000:])


@pytest.mark.parametrize(
    "server",
    [
        lambda port: ("gunicorn", "shop.wsgi", "--workers", "2", "-b", f"127.0.0.1:{port}"),
        lambda port: (
            *("gunicorn", "shop.wsgi", "--workers", "2", "--preload"),
            *("-b", f"127.0.0.1:{port}"),
        ),
        lambda port: ("django", "runserver", "--noreload", f"127.0.0.1:{port}"),
    ],
    ids=["gunicorn", "gunicorn-preload", "runserver"],
)
def test_view_publishes(project: Project, server: Callable[[int], Sequence[str]]) -> None:
    """Each request publishes, whichever worker serves it."""
    port = free_port()
    with project.running("-m", *server(port)) as log:

        def is_there() -> bool:
            try:
                return ask(port, 0)
            except (URLError, ConnectionError):
                return False

        try:
            wait_until(is_there, within=60)
        except TimeoutError:
            pytest.fail(log.read_text()[-3_000:])
        assert all(ask(port, report) for report in range(1, 20))
    assert reports() == list(range(20))


def ask(port: int, report: int) -> bool:
    """Send a request; return whether it published."""
    with urllib.request.urlopen(
        f"http://127.0.0.1:{port}/done/{report}", timeout=PATIENCE
    ) as answer:
        return bool(answer.status == 204)


@pytest.mark.parametrize("program", ["shop.threads", "shop.loops"])
def test_program_publishes(project: Project, program: str) -> None:
    """From many threads at once, and from one loop after another; it ends by itself."""
    project.run("-m", program)
    assert sorted(reports()) == list(range(100))
