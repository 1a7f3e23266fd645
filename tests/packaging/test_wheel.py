"""The wheel in fresh environments: alone, with each extra, and beside its namesake."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from demo.embedded import EmbeddedValkey
from tests.packaging.conftest import ROOT, Environment, names_in

# One process of pytest-xdist builds the wheel and the environments.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.xdist_group("packaging")]

Get = Callable[[str], Environment]

SEND = """
import asyncio, sys
import django
from django.conf import settings
layer = {{"BACKEND": "shardlayer.layer.ShardedChannelLayer", "CONFIG": {config}}}
settings.configure(CHANNEL_LAYERS={{"default": layer}}, INSTALLED_APPS={apps}, SECRET_KEY="-")
django.setup()
from channels.layers import get_channel_layer

async def main():
    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add("room", channel)
    await layer.group_send("room", {{"type": "said", "text": "hello"}})
    print((await layer.receive(channel))["text"])
    await layer.close()

asyncio.run(main())
"""
MANAGE = """
import sys
from django.conf import settings
layer = {"BACKEND": "shardlayer.layer.ShardedChannelLayer", "CONFIG": {"hosts": ["memory://x"]}}
settings.configure(CHANNEL_LAYERS={"default": layer}, INSTALLED_APPS=["realtime"], SECRET_KEY="-")
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", *sys.argv[1:]])
"""
TYPED = """
from shardlayer import Position, ShardedChannelLayer
from realtime import publish

reveal_type(publish("room", {"text": "hello"}))
layer = ShardedChannelLayer(hosts=["memory://types"])
layer.publish_sync(1, b"")
"""

_JWT_SETTINGS = """
import django
from django.conf import settings
settings.configure(
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "realtime"],
    CHANNEL_LAYERS={{"default": {{"BACKEND": "shardlayer.layer.ShardedChannelLayer",
        "CONFIG": {{"hosts": ["memory://jwt"]}}}}}},
    REALTIME={{"JWT_ALGORITHM": "{algorithm}", "JWT_KEYS": [{keys}]}},
)
django.setup()
"""
READ_JWT = (
    """
import asyncio, time, jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
secret = public = "a secret of thirty-two bytes or more"
if "{algorithm}" != "HS256":
    secret = rsa.generate_private_key(65537, 2048) if "{algorithm}" == "RS256" else (
        ec.generate_private_key(ec.SECP256R1()))
    public = secret.public_key().public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
"""
    + _JWT_SETTINGS.replace("{keys}", "public")
    + """
from realtime.access.jwt_tokens import jwt_reader
token = jwt.encode({{"sub": "7", "exp": time.time() + 60}}, secret, "{algorithm}")
async def main():
    print((await jwt_reader().read(token)).user_id)
asyncio.run(main())
"""
)
CHECK_JWT = (
    _JWT_SETTINGS.format(algorithm="HS256", keys="'x' * 32")
    + """
from django.core.management import call_command
call_command("check")
"""
)


def message_sent(environment: Environment, config: str, apps: str = "[]") -> str:
    """Return the message that a process with the layer sent to itself."""
    return environment.run("python", "-c", SEND.format(config=config, apps=apps)).strip()


def test_sdist_builds_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """The wheel from the sdist and the one from the repository hold the same files."""
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, check=True, capture_output=True)
    [direct] = tmp_path.glob("*.whl")
    assert names_in(direct) == names_in(wheel)


def test_index_takes_the_distributions(distributions: Path) -> None:
    """`twine check` finds nothing, and the README's links lead somewhere on the index."""
    files = sorted(distributions.iterdir())
    command = [sys.executable, "-m", "twine", "check", "--strict", *map(str, files)]
    subprocess.run(command, check=True, capture_output=True)
    [metadata] = [text for name, text in names_in(files[0]).items() if name.endswith("/METADATA")]
    assert b"](https://" in metadata
    assert b"](docs/" not in metadata


def test_wheel_holds_the_two_packages_alone(wheel: Path) -> None:
    """Neither the demo nor tests nor anybody's `config` is installed; types and scripts are."""
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.partition("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"shardlayer", "realtime"}
    assert {"shardlayer/py.typed", "realtime/py.typed"} <= set(names)
    assert any(name.endswith("publish.lua") for name in names)
    catalogues = {f"realtime/locale/de/LC_MESSAGES/django.{kind}" for kind in ("po", "mo")}
    assert catalogues <= set(names)


def test_layer_alone_sends_a_message(environment: Get, redis_server: EmbeddedValkey) -> None:
    """Without any extra a layer works, in memory and on a server."""
    assert message_sent(environment(""), '{"hosts": ["memory://alone"]}') == "hello"
    config = f'{{"hosts": ["{redis_server.url}"]}}'
    assert message_sent(environment(""), config, '["realtime"]') == "hello"


def test_missing_extra_is_one_line_that_names_it(environment: Get) -> None:
    """A command whose packages are not installed says what to install, and no traceback."""
    alone = environment("")
    done = alone.attempt("shardlayer-daphne", "a:b")
    assert done.returncode != 0
    assert "pip install 'shardlayer[server]'" in done.stderr
    assert done.stderr.count("\n") == 1
    for command in (["runkafka"], ["realtime", "deadletters", "list"]):
        done = alone.attempt("python", "-c", MANAGE, *command)
        assert done.returncode != 0
        assert "CommandError: aiokafka is not installed: " in done.stderr
        assert "pip install 'shardlayer[kafka]'" in done.stderr
        assert done.stderr.count("\n") == 1
        assert "usage: " in alone.run("python", "-c", MANAGE, command[0], "--help")
    for module in ("shardlayer.testing", "shardlayer.server.live"):
        done = alone.attempt("python", "-c", f"import {module}")
        assert done.stderr.splitlines()[-1].endswith(
            "MissingExtra: daphne is not installed: pip install 'shardlayer[server]'"
        )
    config = '{"hosts": ["memory://x"], "symmetric_encryption_keys": ["k"]}'
    done = alone.attempt("python", "-c", SEND.format(config=config, apps="[]"))
    assert "pip install 'shardlayer[encryption]'" in done.stderr


def test_checks_need_no_extra(environment: Get) -> None:
    """`manage.py check` runs where nothing but the layer is installed."""
    assert "no issues" in environment("").run("python", "-c", MANAGE, "check")


def test_server_extra_serves(environment: Get) -> None:
    """With `server` the command runs."""
    assert "--client-buffer-limit" in environment("server").run("shardlayer-daphne", "--help")


def test_kafka_extra_has_every_codec(environment: Get) -> None:
    """With `kafka` the pool's command runs, and reads what any producer may have compressed."""
    with_kafka = environment("kafka")
    assert "--consumers" in with_kafka.run("python", "-c", MANAGE, "runkafka", "--help")
    codecs = "from aiokafka import codec as c; print(c.has_snappy(), c.has_lz4(), c.has_zstd())"
    assert with_kafka.run("python", "-c", codecs).strip() == "True True True"


def test_encryption_extra_encrypts(environment: Get) -> None:
    """With `encryption` the layer takes keys."""
    config = '{"hosts": ["memory://x"], "symmetric_encryption_keys": ["k"]}'
    assert message_sent(environment("encryption"), config) == "hello"


def test_jwt_extra_reads_tokens(environment: Get) -> None:
    """With `jwt` JWTs are read, by each algorithm; without it the system checks say so."""
    for algorithm in ("HS256", "RS256", "ES256"):
        program = READ_JWT.format(algorithm=algorithm)
        assert environment("jwt").run("python", "-c", program).strip() == "7"
    done = environment("").attempt("python", "-c", CHECK_JWT)
    assert "pip install 'shardlayer[jwt]'" in done.stderr


def test_namesake_is_refused(environment: Get, wheel: Path) -> None:
    """Supabase's client is a package of the same name: Django does not start, and says why."""
    beside = environment("metrics")  # which no other test changes
    beside.run("python", "-c", "import django_prometheus")
    beside.install("--no-deps", "realtime")
    beside.install("--no-deps", "--force-reinstall", str(wheel))
    done = beside.attempt("python", "-c", MANAGE, "check")
    assert done.returncode != 0
    assert "pip uninstall realtime" in done.stderr
    beside.pip("uninstall", "--quiet", "--yes", "realtime")
    beside.install("--no-deps", "--force-reinstall", str(wheel))
    assert "no issues" in beside.run("python", "-c", MANAGE, "check")


def test_users_see_types(environment: Get, tmp_path: Path) -> None:
    """`mypy --strict` of a user's project knows what our functions take and return."""
    (tmp_path / "project.py").write_text(TYPED)
    python = str(environment("").bin / "python")
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file", "/dev/null"),
            *("--python-executable", python, "project.py"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    revealed, wrong, *_ = done.stdout.splitlines()
    assert "shardlayer" in revealed
    assert "Position" in revealed
    assert 'incompatible type "int"; expected "str"' in wrong
    assert "Found 1 error in 1 file" in done.stdout
