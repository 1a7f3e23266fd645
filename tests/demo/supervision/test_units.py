"""`bin/units` writes files that are current, and that Supervisor and systemd take."""

from __future__ import annotations

import getpass
import re
import subprocess
import sys
from pathlib import Path

import pytest
from supervisor.options import ServerOptions

from demo.devserver.procfile import parse_procfile
from demo.supervision.part_rules import rule_of
from demo.supervision.place import Place
from demo.supervision.supervisor_file import supervisor_file
from demo.supervision.systemd_units import TARGET, systemd_units

ROOT = Path(__file__).parents[3]
PARTS = parse_procfile((ROOT / "Procfile").read_text())
MORE = {**PARTS, "report": "bin/part report echo 100% $HOME"}


def units(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "demo.supervision", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_generated_files_are_current() -> None:
    """What stands in deploy/ is what the Procfile says. If this fails, run bin/units."""
    done = units("--check")
    assert done.returncode == 0, done.stderr


def test_check_says_what_is_not(tmp_path: Path) -> None:
    """A file that is missing, changed or of no part any more fails the check; writing mends it."""
    assert units("--output", str(tmp_path)).returncode == 0
    assert units("--output", str(tmp_path), "--check").returncode == 0
    (tmp_path / "systemd/shardlayer-pool.service").unlink()
    (tmp_path / "systemd/shardlayer-worker-1.service").write_text("changed")
    (tmp_path / "systemd/shardlayer-worker-99.service").write_text("left over")
    done = units("--output", str(tmp_path), "--check")
    assert done.returncode == 1
    named = set(re.findall(r"shardlayer-[a-z0-9-]+\.service", done.stderr))
    assert named == {f"shardlayer-{name}.service" for name in ("pool", "worker-1", "worker-99")}
    assert units("--output", str(tmp_path)).returncode == 0
    assert units("--output", str(tmp_path), "--check").returncode == 0


@pytest.mark.parametrize("directory", ["shardlayer", "/srv/100%", "/srv/$HOME", "/srv/my site"])
def test_unfit_directory_is_refused(directory: str) -> None:
    """Supervisors have no current directory that anybody means, and expand some signs."""
    done = units("--directory", directory, "--check")
    assert done.returncode == 2
    assert "--directory" in done.stderr


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--user", "ada lovelace"),
        ("--user", "ada\nExecStartPre=/bin/true"),
        ("--directory", "/"),
        ("--environment", "/"),
        ("--open-files", "0"),
        ("--open-files", "-1"),
    ],
)
def test_unfit_options_are_refused(tmp_path: Path, option: str, value: str) -> None:
    """What supervisors would not take, or take for something else, is not written."""
    done = units("--output", str(tmp_path), f"{option}={value}")
    assert done.returncode == 2
    assert option in done.stderr.splitlines()[-1]
    assert not list(tmp_path.iterdir())


def test_output_that_cant_be_written_is_one_line(tmp_path: Path) -> None:
    """And no traceback."""
    (tmp_path / "taken").write_text("a file")
    done = units("--output", str(tmp_path / "taken"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr


@pytest.fixture
def options(tmp_path: Path) -> ServerOptions:
    """Supervisor's options after it read the file."""
    place = Place(directory=str(tmp_path), user=getpass.getuser())
    (tmp_path / "var/log").mkdir(parents=True)
    file = tmp_path / "supervisord.conf"
    file.write_text(supervisor_file(MORE, place))
    options = ServerOptions()
    options.configfile = str(file)
    options.process_config(do_usage=False)
    return options


def test_supervisor_stops_in_order(options: ServerOptions) -> None:
    """One group after the other, the highest priority first."""
    groups = sorted(options.process_group_configs, key=lambda group: -group.priority)
    assert [group.name for group in groups] == [
        *("balancer", "workers", "publishers", "kafka", "redis"),
    ]
    names = {process.name for group in groups for process in group.process_configs}
    assert names == set(MORE)


def test_supervisor_restarts_and_waits(options: ServerOptions) -> None:
    """Every part is started, started again whatever happens, and gets the time that it needs."""
    assert options.minfds == Place().open_files
    for group in options.process_group_configs:
        for process in group.process_configs:
            assert process.autostart
            assert process.autorestart.__name__ == "RestartUnconditionally"
            assert process.stopwaitsecs == rule_of(process.name).wait
            assert process.environment == {"DJANGO_DEBUG": "0"}


def test_supervisor_gets_the_procfiles_commands(options: ServerOptions) -> None:
    """To the letter, percent signs too."""
    for group in options.process_group_configs:
        for process in group.process_configs:
            assert process.command == f"{process.directory}/{MORE[process.name]}"


def test_systemd_stops_in_order() -> None:
    """Each unit is ordered after what it needs: systemd stops them the other way round."""
    written = dict(systemd_units(MORE, Place()))
    assert set(written) == {
        TARGET,
        *(f"shardlayer-{name}.service" for name in MORE if not rule_of(name).embedded),
    }
    pool, worker, balancer = (
        re.search(r"After=(.*)", written[f"shardlayer-{name}.service"])
        for name in ("pool", "worker-1", "balancer")
    )
    assert pool is not None
    assert worker is not None
    assert balancer is not None
    assert "valkey-server.service" in pool[1]
    assert "worker" not in pool[1]
    assert "shardlayer-pool.service" in worker[1]
    assert "shardlayer-worker-2.service" in balancer[1]
    assert "balancer" not in worker[1]
    assert "echo 100%% $$HOME\n" in written["shardlayer-report.service"]


def test_workers(tmp_path: Path) -> None:
    """`--workers` makes as many as the machine has use for."""
    assert units("--output", str(tmp_path), "--workers", "4").returncode == 0
    made = {path.name for path in (tmp_path / "systemd").glob("*worker*")}
    assert made == {f"shardlayer-worker-{number}.service" for number in range(1, 5)}
    text = (tmp_path / "supervisor/shardlayer.conf").read_text()
    assert "programs = worker-1,worker-2,worker-3,worker-4" in text
    done = units("--output", str(tmp_path), "--workers", "many")
    assert done.returncode == 2
    assert "--workers many" in done.stderr


@pytest.mark.needs("systemd-analyze")
def test_systemd_verifies_them(tmp_path: Path) -> None:
    """systemd-analyze finds nothing, and takes their hardening for good."""
    place = Place(directory=str(ROOT), user=getpass.getuser())
    for name, text in systemd_units(PARTS, place):
        (tmp_path / name).write_text(text)
    files = sorted(map(str, tmp_path.iterdir()))
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", *files[:1]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
