"""deploy/Dockerfile: its steps are done, and what it starts serves, though it can write nowhere."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest

from demo.embedded import EmbeddedValkey, free_port
from tests.deploy.compose_file import SECRETS, load
from tests.deploy.image import ROOT, Image
from tests.realtime.process import Process
from tests.waiting import PATIENCE, wait_until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("packaging"),  # its environments share pip's cache
    pytest.mark.timeout(400),
    pytest.mark.skipif(sys.platform != "linux", reason="the image is one of Linux"),
]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    """The image, as far as a folder can be one."""
    image = Image(tmp_path_factory.mktemp("image"))
    image.build()
    yield image
    image.remove()


@pytest.fixture
def variables(tmp_path: Path, redis_server: EmbeddedValkey) -> dict[str, str]:
    """What the compose file sets, with a database and a Redis of this machine."""
    worker = load(ROOT / "docker-compose.yml", environ=SECRETS)["services"]["worker-1"]
    given: dict[str, str] = worker["environment"]
    return given | {
        "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        "REDIS_URL": redis_server.url,
        "KAFKA_BOOTSTRAP_SERVERS": "127.0.0.1:1",
        "METRICS_DIRECTORY": str(tmp_path / "metrics"),  # the image has it in /tmp
    }


def run(image: Image, variables: dict[str, str], *command: str) -> str:
    """Run a command to its end and return what it said."""
    done = subprocess.run(
        image.words(*command),
        cwd=image.folder,
        env=image.environment(**variables),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_nothing_can_be_written(image: Image, variables: dict[str, str]) -> None:
    """The check itself works: a file can't be made there, nor a byte code file."""
    attempt = "import pathlib\ntry:\n pathlib.Path('x').touch()\nexcept OSError as e: print(e)"
    assert "denied" in run(image, variables, "python", "-c", attempt)
    assert list(image.folder.rglob("config/__pycache__/settings.*.pyc"))  # it was made before
    assert Path(image.variables["METRICS_DIRECTORY"]).parent == Path("/tmp")


def test_it_serves(image: Image, variables: dict[str, str], tmp_path: Path) -> None:
    """Migrations, then the image's own command: pages, static files and WebSockets."""
    assert int(image.user) > 0
    run(image, variables, "python", "manage.py", "migrate", "--noinput")
    port = free_port()
    assert image.command[:5] == ["shardlayer-daphne", "-b", "0.0.0.0", "-p", "8000"]
    command = [*image.command[:4], str(port), *image.command[5:]]
    environ = image.environment(**variables)
    words = ["env", "--chdir", str(image.folder), *image.words(*command)]
    with Process(words, log=tmp_path / "log", **environ) as worker:

        def get(path: str) -> int:
            try:
                with urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE) as answer:
                    return int(answer.status)
            except OSError:
                return 0

        wait_until(lambda: get("/health/ready") == 200, within=60, what=worker.output())
        assert get("/static/admin/css/base.css") == 200
        smoke = [sys.executable, str(ROOT / "bin" / "smoke.py"), f"http://localhost:{port}"]
        found = subprocess.run(smoke, capture_output=True, text=True)
        assert found.returncode == 0, found.stderr
        assert worker.stop() == 0


@pytest.mark.parametrize("service", ["pool", "feed"])
def test_commands_are_there(image: Image, variables: dict[str, str], service: str) -> None:
    """What the other containers run is installed with all that it imports."""
    words = load(ROOT / "docker-compose.yml", environ=SECRETS)["services"][service]["command"]
    assert "usage" in run(image, variables, *words, "--help")
