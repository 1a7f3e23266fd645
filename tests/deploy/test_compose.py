"""The compose files, checked without Docker: against the Compose specification's own schema."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from django.core.management import load_command_class

from config.redis import redis_config
from demo.devserver.procfile import parse_procfile
from shardlayer.server.cli import CommandLineInterface
from tests import tools
from tests.deploy.compose_file import SECRETS, MissingVariable, Yaml, load

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = Path(__file__).with_name("compose-spec.json")
IN_CONTAINERS_OF_THEIR_OWN = {"redis": "valkey", "kafka": "kafka"}
ENVIRON = {**SECRETS, "DJANGO_ALLOWED_HOSTS": "www.example.com"}

ONE = ("docker-compose.yml",)
REDIS = ("docker-compose.redis.yml",)
MULTI = ("docker-compose.multi.yml",)
HORIZONTAL = ("docker-compose.horizontal.yml",)
ALL = [ONE, MULTI, REDIS, HORIZONTAL, (*ONE, *REDIS), (*MULTI, *REDIS)]

every = pytest.mark.parametrize("files", ALL, ids=" ".join)


def read(files: tuple[str, ...], environ: dict[str, str] = ENVIRON) -> Yaml:
    return load(*(ROOT / file for file in files), environ=environ)


@pytest.fixture
def compose() -> Yaml:
    """The stack of one machine."""
    return read(ONE)


def validate(document: Yaml) -> None:
    jsonschema.validate(document, json.loads(SCHEMA.read_text()))


@every
def test_is_valid(files: tuple[str, ...]) -> None:
    """Every key and type is one that Compose knows."""
    validate(read(files))


def test_schema_refuses_a_wrong_file(compose: Yaml) -> None:
    """The check itself works: a misspelt key is found."""
    compose["services"]["valkey"]["helthcheck"] = {}
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        validate(compose)


def test_runs_what_the_procfile_runs(compose: Yaml) -> None:
    """Whoever moves from bin/dev to containers finds the same parts."""
    parts = parse_procfile((ROOT / "Procfile").read_text())
    expected = {IN_CONTAINERS_OF_THEIR_OWN.get(part, part) for part in parts}
    assert expected <= compose["services"].keys()


@every
def test_waits_for_what_says_that_it_is_healthy(files: tuple[str, ...]) -> None:
    """Every service that another waits for exists, and has the health check that is waited for."""
    services = read(files)["services"]
    for name, service in services.items():
        waited_for = service.get("depends_on", {})
        for other in waited_for:
            assert other in services, f"{name} waits for {other}"
            if isinstance(waited_for, dict) and waited_for[other]["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other}"


@every
def test_volumes_are_declared(files: tuple[str, ...]) -> None:
    """Each named volume is in the file's list, and each file that is mounted is there."""
    document = read(files)
    for service in document["services"].values():
        for mount in service.get("volumes", ()):
            source = mount.partition(":")[0]
            assert source in document["volumes"] or Path(source).exists(), mount


@every
def test_containers_may_do_little(files: tuple[str, ...]) -> None:
    """Each has a user of its own, a root that it can't write to, and no capability."""
    for name, service in read(files)["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if service["image"] == "shardlayer":
            assert re.search(r"^USER \d+", (ROOT / "deploy" / "Dockerfile").read_text(), re.M)
        else:
            assert int(service["user"].partition(":")[0]) > 0, name


@every
def test_who_writes_has_time_to_end(files: tuple[str, ...]) -> None:
    """Docker kills after ten seconds what does not say otherwise."""
    for name, service in read(files)["services"].items():
        if name not in {"migrate", "feed", "prometheus", "grafana"}:
            assert int(service["stop_grace_period"].removesuffix("s")) >= 45, name


def test_valkey_keeps_everything(compose: Yaml) -> None:
    """Its data survives a restart, is never evicted, and does not take the machine's memory."""
    valkey = compose["services"]["valkey"]
    command = valkey["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--maxmemory") + 1] == "512mb"
    assert valkey["volumes"] == ["valkey:/data"]


@pytest.mark.parametrize("name", SECRETS)
@every
def test_secrets_have_no_default(files: tuple[str, ...], name: str) -> None:
    """What is secret is asked for, and nothing in the files would do in its place."""
    if SECRETS[name] not in json.dumps(read(files)):
        return  # this stack has no use for it
    with pytest.raises(MissingVariable, match="run bin/secrets"):
        read(files, {**ENVIRON, name: ""})


def test_every_secret_is_used() -> None:
    """The check above sees each of them."""
    everything = json.dumps([read(files) for files in ALL])
    assert all(secret in everything for secret in SECRETS.values())


def test_no_secret_stands_in_a_file() -> None:
    """Whatever is named like one is asked for."""
    names = re.compile(r"^\s*\w*(?:PASSWORD|SECRET|TOKEN)\w*:\s*(.+)$", re.M)
    for file in {*ONE, *MULTI, *REDIS, *HORIZONTAL, "deploy/compose/services.yml"}:
        for value in names.findall((ROOT / file).read_text()):
            assert value.startswith("${"), value


def test_host_names_have_no_default_on_several_machines() -> None:
    """Who may come is asked for."""
    with pytest.raises(MissingVariable, match="DJANGO_ALLOWED_HOSTS"):
        read(HORIZONTAL, SECRETS)


def test_ports_of_what_only_its_operators_may_see() -> None:
    """On every address only the balancer listens; figures are for this machine."""
    for name, service in read(HORIZONTAL)["services"].items():
        ports = service.get("ports", [])
        for port in ports:
            assert port.startswith("127.0.0.1:") or (name, port) == ("haproxy", "8000:8000")


def test_nodes_share_the_servers() -> None:
    """Four Valkeys in one order, and three brokers, for every process that needs them."""
    services = read(HORIZONTAL)["services"]
    for name in ("node", "pool", "feed"):
        environment = services[name]["environment"]
        hosts = environment["REDIS_URL"].split(",")
        login = SECRETS["VALKEY_PASSWORD"]
        assert hosts == [f"redis://:{login}@valkey-{number}:6379" for number in range(1, 5)]
        for broker in environment["KAFKA_BOOTSTRAP_SERVERS"].split(","):
            place = services[broker.partition(":")[0]]["environment"]
            assert place["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{broker}"


@pytest.mark.needs("promtool")
def test_prometheus_asks_all_nodes(tmp_path: Path) -> None:
    """Its configuration is one that Prometheus takes; it finds nodes by name and has their key."""
    services = read(HORIZONTAL)["services"]
    prometheus = services["prometheus"]
    mounted = dict(volume.split(":")[1::-1] for volume in prometheus["volumes"])
    key = tmp_path / "health_key"
    key.write_text(SECRETS["HEALTH_KEY"])
    for inside, outside in mounted.items():
        if inside.endswith(".yml"):
            text = Path(outside).read_text().replace("/tmp/health_key", str(key))
            (tmp_path / Path(inside).name).write_text(text)
    promtool = tools.find("promtool")
    assert promtool is not None
    command = [promtool, "check", "config", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    jobs = {
        job["job_name"]: job
        for job in yaml.safe_load((tmp_path / "prometheus.yml").read_text())["scrape_configs"]
    }
    [found] = jobs["shardlayer"]["dns_sd_configs"]
    assert set(found["names"]) <= services.keys()
    assert str(found["port"]) in services["node"]["command"]
    assert services["node"]["environment"]["HEALTH_KEY"] == SECRETS["HEALTH_KEY"]
    assert prometheus["environment"]["HEALTH_KEY"] == SECRETS["HEALTH_KEY"]
    assert "/tmp/health_key" in prometheus["entrypoint"][-1]


def test_brokers_are_one_cluster() -> None:
    """Each has an id of its own, and the name under which the others vote for it."""
    services = read(HORIZONTAL)["services"]
    brokers = {
        name: service["environment"] for name, service in services.items() if "kafka" in name
    }
    voters = {f"{place['KAFKA_NODE_ID']}@{name}:9093" for name, place in brokers.items()}
    assert len(voters) == 3
    for place in brokers.values():
        assert set(place["KAFKA_CONTROLLER_QUORUM_VOTERS"].split(",")) == voters
        assert place["CLUSTER_ID"] == brokers["kafka-1"]["CLUSTER_ID"]


def test_limits_of_one_machine() -> None:
    """Everything together has 3 CPUs and 14 GiB."""
    limits = [
        service["deploy"]["resources"]["limits"] for service in read(MULTI)["services"].values()
    ]
    assert sum(float(limit["cpus"]) for limit in limits) == pytest.approx(3.0)
    assert sum(_mebibytes(limit["memory"]) for limit in limits) == 14 * 1024


def _mebibytes(memory: str) -> int:
    return int(memory[:-1]) * {"m": 1, "g": 1024}[memory[-1]]


def test_commands_are_taken() -> None:
    """What workers and balancer are started with are options that they have."""
    services = read(MULTI)["services"] | read(HORIZONTAL)["services"]
    for name in ("worker-1", "worker-2", "worker-3", "node"):
        program, *arguments = services[name]["command"]
        assert program == "shardlayer-daphne"
        assert CommandLineInterface().parser.parse_args(arguments).application
    program, script, command, *arguments = services["balancer"]["command"]
    assert (program, script) == ("python", "manage.py")
    parser = load_command_class("realtime", command).create_parser(script, command)
    assert parser.parse_args(arguments).max_connections == 12_000


def options_of(service: Yaml) -> Any:
    """Return the options with which a service starts `shardlayer-daphne`."""
    program, *arguments = service["command"]
    assert program == "shardlayer-daphne"
    return CommandLineInterface().parser.parse_args(arguments)


@pytest.mark.parametrize("files", [ONE, MULTI], ids=" ".join)
def test_clients_behind_the_balancer_are_told_apart(files: tuple[str, ...]) -> None:
    """Docker hides their addresses. So workers believe a proxy, which alone can reach the port."""
    services = read(files)["services"]
    workers = [service for name, service in services.items() if name.startswith("worker-")]
    assert workers
    for worker in workers:
        options = options_of(worker)
        assert options.proxy_headers
        assert (options.address_connections, options.address_handshake_rate) == (1000, 100)
        assert "ports" not in worker
        assert options.host == "127.0.0.1"
    ports = services["balancer"]["ports"]
    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("file", [*ONE, *MULTI])
def test_load_test_takes_the_limits_away(file: str) -> None:
    """The variables that the files name are those that do it."""
    named = re.findall(r"(ADDRESS_\w+)=0", (ROOT / "docker-compose.multi.yml").read_text())
    assert len(named) == 2
    services = read((file,), {**ENVIRON, **dict.fromkeys(named, "0")})["services"]
    options = options_of(services["worker-1"])
    assert (options.address_connections, options.address_handshake_rate) == (0, 0)


def test_balancer_and_workers_share_a_socket() -> None:
    """All of them name it, and the volume in which it is."""
    services = read(MULTI)["services"]
    for name in ("balancer", "worker-1", "worker-2", "worker-3"):
        assert "/run/shardlayer/balancer.sock" in " ".join(services[name]["command"])
        assert "run:/run/shardlayer" in services[name]["volumes"]


def test_redis_takes_the_single_server_s_place() -> None:
    """Over another file the primary is the service that all others wait for."""
    environ = {**ENVIRON, "REDIS_SENTINELS": "sentinel-1,sentinel-2", "REDIS_WAIT_REPLICAS": "1"}
    services = read((*MULTI, *REDIS), environ)["services"]
    config = redis_config(services["worker-1"]["environment"])
    assert config["hosts"][0]["password"] == SECRETS["VALKEY_PASSWORD"]
    assert {host for host, _ in config["hosts"][0]["sentinels"]} <= services.keys()
    assert config["wait_replicas"] == 1
    assert services["valkey"]["command"] == ["/start.sh", "server"]
    assert services["worker-1"]["depends_on"]["valkey"]["condition"] == "service_healthy"


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """`bin/secrets` writes what the files ask for, for its owner alone, and keeps what is there."""
    (tmp_path / "bin").mkdir()
    shutil.copy2(ROOT / "bin" / "secrets", tmp_path / "bin")
    (tmp_path / ".env").write_text("DJANGO_SECRET_KEY=of-mine")  # as an earlier release wrote it
    made = []
    for _ in range(2):
        subprocess.run([tmp_path / "bin" / "secrets"], check=True, capture_output=True)
        made.append((tmp_path / ".env").read_text())
    assert made[0] == made[1]
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    secrets = dict(line.split("=") for line in made[0].splitlines())
    assert secrets.pop("DJANGO_SECRET_KEY") == "of-mine"
    assert secrets.keys() == SECRETS.keys() - {"DJANGO_SECRET_KEY"}
    assert len(set(secrets.values())) == 4
    assert all(len(secret) >= 48 for secret in secrets.values())
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_image_can_be_built(compose: Yaml) -> None:
    """The Dockerfile is where Compose looks, and what it needs is not ignored."""
    build: dict[str, Any] = compose["services"]["worker-1"]["build"]
    assert Path(build["context"]) == ROOT
    assert (ROOT / build["dockerfile"]).is_file()
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert kept == {path for path in kept if (ROOT / path).exists()}
    assert {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", "manage.py"} <= kept
