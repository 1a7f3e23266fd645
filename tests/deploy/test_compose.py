"""docker-compose.yml, checked without Docker: against the Compose specification's own schema."""

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

from demo.devserver.procfile import parse_procfile

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = Path(__file__).with_name("compose-spec.json")
IN_CONTAINERS_OF_THEIR_OWN = {"redis": "valkey", "kafka": "kafka"}


@pytest.fixture
def compose() -> dict[str, Any]:
    """The file as YAML reads it, merges resolved."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_is_valid(compose: dict[str, Any]) -> None:
    """Every key and type is one that Compose knows."""
    jsonschema.validate(compose, json.loads(SCHEMA.read_text()))


def test_schema_refuses_a_wrong_file(compose: dict[str, Any]) -> None:
    """The check itself works: a misspelt key is found."""
    compose["services"]["valkey"]["helthcheck"] = {}
    with pytest.raises(jsonschema.ValidationError, match="helthcheck"):
        jsonschema.validate(compose, json.loads(SCHEMA.read_text()))


def test_runs_what_the_procfile_runs(compose: dict[str, Any]) -> None:
    """Whoever moves from bin/dev to containers finds the same parts."""
    parts = parse_procfile((ROOT / "Procfile").read_text())
    expected = {IN_CONTAINERS_OF_THEIR_OWN.get(part, part) for part in parts}
    assert expected <= compose["services"].keys()


def test_waits_for_what_says_that_it_is_healthy(compose: dict[str, Any]) -> None:
    """Every service that another waits for exists, and has the health check that is waited for."""
    services = compose["services"]
    for name, service in services.items():
        for other, wait in service.get("depends_on", {}).items():
            assert other in services, f"{name} waits for {other}"
            if wait["condition"] == "service_healthy":
                assert "healthcheck" in services[other], f"{name} waits for {other}"


def test_valkey_keeps_everything(compose: dict[str, Any]) -> None:
    """Its data survives a restart, is never evicted, and does not take the machine's memory."""
    valkey = compose["services"]["valkey"]
    command = valkey["command"]
    assert command[command.index("--appendonly") + 1] == "yes"
    assert command[command.index("--maxmemory-policy") + 1] == "noeviction"
    assert command[command.index("--maxmemory") + 1] == "512mb"
    assert valkey["volumes"] == ["valkey:/data"]


def test_secrets_have_no_default() -> None:
    """What is secret is asked for; nothing in the file would do."""
    text = (ROOT / "docker-compose.yml").read_text()
    variables = re.findall(r"\$\{(\w+)([^}]*)\}", text)
    assert {name for name, _ in variables} == {"DJANGO_SECRET_KEY", "POSTGRES_PASSWORD"}
    assert {rest for _, rest in variables} == {":?is not set; run bin/secrets"}


def test_secrets_are_made_once(tmp_path: Path) -> None:
    """`bin/secrets` writes what the file asks for, for its owner alone, and keeps what is there."""
    (tmp_path / "bin").mkdir()
    shutil.copy2(ROOT / "bin" / "secrets", tmp_path / "bin")
    made = []
    for _ in range(2):
        subprocess.run([tmp_path / "bin" / "secrets"], check=True, capture_output=True)
        made.append((tmp_path / ".env").read_text())
    assert made[0] == made[1]
    assert (tmp_path / ".env").stat().st_mode & 0o777 == 0o600
    secrets = dict(line.split("=") for line in made[0].splitlines()[1:])
    assert secrets.keys() == {"DJANGO_SECRET_KEY", "POSTGRES_PASSWORD"}
    assert len(set(secrets.values())) == 2
    assert all(len(secret) >= 48 for secret in secrets.values())
    assert ".env" in (ROOT / ".gitignore").read_text().split()


def test_image_can_be_built(compose: dict[str, Any]) -> None:
    """The Dockerfile is where Compose looks, and what it needs is not ignored."""
    build = compose["services"]["worker-1"]["build"]
    assert (ROOT / build["context"] / build["dockerfile"]).is_file()
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().split() if line[0] == "!"}
    assert kept == {path for path in kept if (ROOT / path).exists()}
    assert {"constraints.txt", "pyproject.toml", "README.md", "LICENSE", "manage.py"} <= kept
