"""`manage.py realtime`: its subcommands, what they print, and the old names."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from demo.embedded.ports import LOOPBACK
from realtime import publish
from realtime.management.looking_command import HOME_AND_CLEAR
from realtime.management.subcommand_parser import SubcommandParser
from realtime.management.subcommands.registry import SUBCOMMANDS, subcommand
from realtime.operations import nodes
from tests.realtime.conftest import channel_layers
from tests.realtime.management.output import lines_of
from tests.realtime.operations.deployment import SETTINGS, Deployment
from tests.realtime.process import ROOT, Process, manage
from tests.waiting import PATIENCE, wait_until

LOOKING = ("status", "rooms", "nodes", "shards", "kafka")
ARGUMENTS = {  # with which a subcommand answers in one line
    "apikey": ("create", "shop", "--room", "*"),
    "announce": ("1",),
    "check": ("settings",),
    "disconnect": ("7", "--key"),
    "history": ("news",),
    "publish": ("news", "1"),
    "room": ("news",),
    "targeted": ("100",),
    "unsubscribe": ("7", "news", "--key"),
}
WITHOUT_JSON = {("completion", ""), ("loadtest", "agent")}  # a script; what runs until it is ended
JSON_ELSEWHERE = {
    "completion",
    "loadtest",
    "deadletters",
}  # none, and tests that have what it takes
OLD = (
    *("announce", "deadletters", "disconnect", "history"),
    *("publish", "rooms", "targeted", "unsubscribe"),
)


@pytest.fixture
def layer(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A layer on a real server without rooms."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    settings.REALTIME = {"CHECK_TIMEOUT": 10}


@pytest.fixture
def dead_layer(settings: Settings) -> None:
    """A layer whose server is not there."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=["redis://127.0.0.1:1"])
    settings.REALTIME = {"CHECK_TIMEOUT": 0.3}


@pytest.fixture
def worker(layer: None, redis_server: EmbeddedValkey, tmp_path: Path) -> Iterator[Process]:
    """A real worker, which has told of itself."""
    process, port = Deployment(redis_server, tmp_path).worker("--capacity", "50")
    with process:
        process.serves(port)
        wait_until(lambda: [node.pid for node in nodes().nodes] == [process.pid])
        yield process


def test_help_names_every_subcommand(capsys: pytest.CaptureFixture[str]) -> None:
    """One list, with a line for each."""
    with pytest.raises(SystemExit):
        call_command("realtime", "--help")
    text = capsys.readouterr().out
    for name in SUBCOMMANDS:
        assert re.search(rf"^ +{name} ", text, re.MULTILINE), name


@pytest.mark.parametrize("name", OLD)
def test_old_names_hand_on(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each old name takes the same arguments, and its help says the new one."""
    with pytest.raises(SystemExit):
        call_command(name, "--help")
    assert f"realtime {name}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.usefixtures("layer")
def test_old_name_warns_on_standard_error() -> None:
    """What it prints is the same, so scripts go on."""
    publish("news", 1)
    out, errors = StringIO(), StringIO()
    call_command("rooms", stdout=out, stderr=errors)
    assert out.getvalue().splitlines() == lines_of("realtime", "rooms")
    assert "deprecated" in errors.getvalue()
    assert "manage.py realtime rooms" in errors.getvalue()


def test_json_is_taken_everywhere() -> None:
    """By each subcommand that tells anything, and by each of their own."""
    for name in SUBCOMMANDS:
        parser = SubcommandParser()
        subcommand(name)().add_arguments(parser)
        for inner, its in (parser.inner() or {"": parser}).items():
            takes = "--json" in its.words()
            assert takes is ((name, inner) not in WITHOUT_JSON), (name, inner)


@pytest.mark.django_db
@pytest.mark.usefixtures("layer")
@pytest.mark.parametrize("name", [name for name in SUBCOMMANDS if name not in JSON_ELSEWHERE])
def test_json_is_one_line(name: str) -> None:
    """For programs: one object."""
    publish("news", 1)
    arguments = ARGUMENTS.get(name, ())
    [line] = lines_of("realtime", name, *arguments, "--json")
    assert isinstance(json.loads(line), dict)


def test_json_says_what_was_done(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """A position, or that there is none; whose connections; how much of the rooms."""
    kept = {"news": {"size": 10, "ttl": 60}, "*": None}
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], history=kept)

    def answer(*arguments: str) -> object:
        [line] = lines_of("realtime", *arguments, "--json")
        return json.loads(line)

    position = publish("news", 1)
    assert position is not None
    following = {"room": "news", "offset": 2, "epoch": position.epoch}
    assert answer("publish", "news", "2") == following
    nowhere = {"room": "fleeting", "offset": None, "epoch": None}
    assert answer("publish", "fleeting", "2") == nowhere
    assert answer("announce", "1") == {"announced": True}
    assert answer("disconnect", "7", "--key") == {"user": "7", "connection": None}
    name = "Zk3xw91abQ0p-_7c"
    assert answer("disconnect", "--connection", name) == {"user": None, "connection": name}
    assert answer("unsubscribe", "7", "news", "--key") == {"user": "7", "room": "news"}
    assert answer("targeted", "100") == {"percent": 100}


@pytest.mark.usefixtures("layer")
@pytest.mark.parametrize("name", LOOKING)
def test_no_colours_but_on_a_terminal(name: str) -> None:
    """What is written to a file has no escape sequences."""
    assert "\x1b" not in "\n".join(lines_of("realtime", name))


@pytest.mark.usefixtures("dead_layer")
@pytest.mark.parametrize("name", ["status", "nodes", "shards", "kafka", "rooms"])
def test_dead_redis_is_one_line_and_never_zero(name: str) -> None:
    """It fails, says why in a line, and shows nothing that is not known."""
    out = StringIO()
    with pytest.raises(CommandError) as failed:
        call_command("realtime", name, stdout=out)
    assert "\n" not in str(failed.value)
    assert "0 workers" not in out.getvalue()


@pytest.mark.parametrize("name", ["nodes", "kafka"])
def test_silent_server_among_others_is_exit_code_1(
    name: str, settings: Settings, redis_server: EmbeddedValkey
) -> None:
    """What the others know is shown; who relies on the list hears that it may not be all."""
    with socket.create_server((LOOPBACK, 0)) as silent:  # takes connections, and answers nothing
        address = f"redis://{LOOPBACK}:{silent.getsockname()[1]}"
        settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url, address])
        settings.REALTIME = {"CHECK_TIMEOUT": 1.0}
        with pytest.raises(CommandError, match=address) as failed:
            call_command("realtime", name, stdout=StringIO())
    assert failed.value.returncode == 1


@pytest.mark.usefixtures("dead_layer")
def test_status_of_a_dead_redis() -> None:
    """What is not known is a question mark, and what is down comes first."""
    out = StringIO()
    with pytest.raises(CommandError, match="does not answer"):
        call_command("realtime", "status", stdout=out)
    text = out.getvalue()
    assert "? workers" in text
    assert "0 of 1 answer" in text
    assert "DOWN" in text


def test_nodes(worker: Process) -> None:
    """A row for each process; the worker's capacity beside what it holds."""
    head, row = lines_of("realtime", "nodes")
    assert head.split()[:4] == ["ID", "Role", "Host", "PID"]
    assert row.split()[1] == "worker"
    assert row.split()[3] == str(worker.pid)
    assert "0 of 50" in row
    assert row.endswith("well")
    [line] = lines_of("realtime", "nodes", "--json")
    [node] = json.loads(line)["nodes"]
    assert (node["pid"], node["capacity"]) == (worker.pid, 50)


def test_status(worker: Process) -> None:
    """Totals of all machines, and that all is well."""
    text = "\n".join(lines_of("realtime", "status"))
    assert "1 workers, 0 pools, 0 relays" in text
    assert "1 of 1 answer" in text
    assert "32 of 32 up" in text
    assert "0 of 50" in text


def test_shards(worker: Process) -> None:
    """A row for the server, and one for each shard."""
    lines = lines_of("realtime", "shards")
    assert len(lines) == 2 + 1 + 1 + 32
    assert lines[4].split()[0] == "0"
    assert "up" in lines[4]


def test_room_names_its_processes(worker: Process) -> None:
    """A node of a room is told as a machine and a process id."""
    publish("news", {"n": 1})
    text = "\n".join(lines_of("realtime", "room", "news"))
    assert "Last offset  1" in text
    assert '  {"n":1}' in text
    [line] = lines_of("realtime", "room", "news", "--json")
    assert json.loads(line)["publications"][0]["data"] == {"n": 1}


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_drain_by_the_beginning_of_an_id(worker: Process, form: tuple[str, ...]) -> None:
    """The worker ends; an id that nobody has is a line."""
    [node] = nodes().nodes
    with pytest.raises(CommandError, match="No process has an id"):
        call_command("realtime", "nodes", "--drain", "nobody")
    [line] = lines_of("realtime", "nodes", "--drain", node.id[:8], *form)
    assert (json.loads(line)["id"] == node.id) if form else (str(worker.pid) in line)
    wait_until(lambda: not worker.runs())
    assert "Told to drain by manage.py" in worker.output()


@pytest.mark.usefixtures("layer")
@pytest.mark.parametrize("interval", ["0", "0.1", "x", "nan", "-1"])
def test_odd_intervals(interval: str) -> None:
    """An interval that would only heat the machine is refused."""
    with pytest.raises(CommandError, match="--watch"):
        call_command("realtime", "status", f"--watch={interval}")


def test_watch_goes_on_until_interrupted(
    layer: None, redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """It shows it again and again, and Ctrl-C ends it without a word."""
    command = Deployment(redis_server, tmp_path).command(
        *("realtime", "shards", "--json", "--watch", "0.5")
    )
    with command:
        wait_until(lambda: command.output().count("\n") >= 3)
        command.send(signal.SIGINT)
        wait_until(lambda: not command.runs())
        assert "Traceback" not in command.output()
        assert command._process is not None
        assert command._process.returncode == 0
        for line in command.output().splitlines():
            assert len(json.loads(line)["shards"]) == 32


def test_terminal_gets_colours_and_a_clean_screen(
    layer: None, redis_server: EmbeddedValkey, tmp_path: Path
) -> None:
    """On a terminal what is well is green, and each look stands in the place of the one before."""
    master, slave = pty.openpty()
    command = subprocess.Popen(
        manage("realtime", "status", "--watch", "0.5"),
        cwd=ROOT,
        env={
            "PATH": os.environ["PATH"],
            "TERM": "xterm-256color",
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "REDIS_URL": redis_server.url,
            "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3",
        },
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    try:
        text = b""
        while text.count(HOME_AND_CLEAR.encode()) < 2:
            text += os.read(master, 65_536)
    finally:
        command.send_signal(signal.SIGINT)
        command.wait(PATIENCE)
        os.close(master)
    assert b"\x1b[32" in text
    assert b"Nothing is down" in text
    assert command.returncode == 0


@pytest.mark.parametrize("arguments", [("status",), ("rooms", "--json"), ("publish", "a", "1")])
def test_memory_is_of_one_process(settings: Settings, arguments: tuple[str, ...]) -> None:
    """A layer in memory has no others: a command says so, beside figures that would mislead."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[f"memory://{uuid4().hex}"])
    errors = StringIO()
    lines_of("realtime", *arguments, stderr=errors)
    assert "this command can't see or reach other processes" in errors.getvalue()


def test_redis_is_no_memory(layer: None) -> None:
    """Where a server is shared, nothing is said."""
    errors = StringIO()
    lines_of("realtime", "rooms", stderr=errors)
    assert errors.getvalue() == ""


@pytest.mark.django_db
@pytest.mark.parametrize(
    "option",
    [
        *("--settings=config.settings", "--pythonpath=.", "--verbosity=0", "-v2", "--traceback"),
        *("--no-color", "--force-color", "--skip-checks"),
    ],
)
def test_djangos_options_are_taken_everywhere(option: str) -> None:
    """Behind the subcommand, and behind the subcommand's own."""
    assert lines_of("realtime", "apikey", "list", option)
    assert lines_of("realtime", "apikey", option, "list")
    assert lines_of("realtime", "check", "origin", option)
