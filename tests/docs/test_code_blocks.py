"""Every fenced block of README.md and docs/*.md is run, or stands on a list with the reason."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import markdown  # type: ignore[import-untyped]
import pytest
import yaml
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.base import SessionBase
from django.template import RequestContext, Template
from django.test import RequestFactory
from redis import Redis

from demo.embedded import EmbeddedValkey
from tests import tools
from tests.deploy.compose_file import SECRETS, load
from tests.docs.blocks import PAGES, ROOT, Block, all_blocks, blocks_of
from tests.docs.commands import Refused, check_command, check_grammar, commands_of
from tests.docs.project_files import write_files
from tests.docs.ways import EXCEPTIONS, OWN_TESTS, blocks_by, exception_of, way_of

SETTINGS = """
import os
SECRET_KEY = "only for this test"
DEBUG = True
ALLOWED_HOSTS = ["testserver"]
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                  "django.contrib.staticfiles", "realtime", "shop"]
STATIC_URL = "/static/"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3",
                         "NAME": os.environ["DOCS_FOLDER"] + "/db.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
CHANNEL_LAYERS = {"default": {"BACKEND": "shardlayer.layer.ShardedChannelLayer",
                              "CONFIG": {"hosts": [os.environ["REDIS_URL"]]}}}
REALTIME = {"ROOMS": {"*": {"subscribe": "anyone", "presence": "anyone"}}}
"""
MODELS = """
from django.contrib.auth.models import User
from django.db import models

class Order(models.Model):
    customer = models.ForeignKey(User, models.CASCADE, null=True, related_name="orders")
    shop_id = models.IntegerField(default=0)
    status = models.CharField(max_length=20, default="new")
    total = models.IntegerField(default=0)
"""
ROOMS = """
def owns_order(user, room, claims):
    return False
"""

COMPOSE_SCHEMA = ROOT / "tests" / "deploy" / "compose-spec.json"
RUN = blocks_by("python") + blocks_by("diff")  # by tests/docs/run_blocks.py


def places(way: str) -> pytest.MarkDecorator:
    """Have a test run for each block of a way."""
    return pytest.mark.parametrize("block", blocks_by(way), ids=lambda block: block.place)


def assert_taken(tool: str, *arguments: str | Path) -> None:
    """Have a program look at a block."""
    command = [tools.find(tool) or "", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_block_is_run_in_some_way() -> None:
    """A block without a language, or in one that nothing here runs, is named."""
    assert len(all_blocks()) > 150
    assert not [block.place for block in blocks_by("unknown")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_all_code_is_fenced(page: Path) -> None:
    """Code that only an indentation marks would not be seen here."""
    html = markdown.markdown(page.read_text(), extensions=["tables", "pymdownx.superfences"])
    assert html.count("<pre") == len([one for one in all_blocks() if one.page == page.name])


def test_block_that_nobody_knows_is_found_out() -> None:
    """No language; a language without a way; a fence that is not closed."""
    for text in ("```\nls\n```\n", "```cobol\nSTOP RUN.\n```\n", "```text\nls\n```\n"):
        (block,) = blocks_of("page.md", text)
        with pytest.raises(LookupError, match=r"page\.md:1"):
            way_of(block)
    with pytest.raises(ValueError, match=r"page\.md:1 is not closed"):
        list(blocks_of("page.md", "```sh\nls\n"))


def test_exceptions() -> None:
    """Few, each with a reason, and each still there."""
    assert len(EXCEPTIONS) == 4, "say here that there is one more, or one less"
    assert all(EXCEPTIONS.values())
    found = Counter(exception_of(block) for block in blocks_by("exception"))
    assert found == Counter(dict.fromkeys(EXCEPTIONS, 1))


def test_own_tests_are_there() -> None:
    """Where a page has a test of its own, that test reads the page."""
    here = {(block.page, block.language) for block in all_blocks()}
    assert set(OWN_TESTS) <= here
    for (page, _), path in OWN_TESTS.items():
        assert page in (ROOT / path).read_text(), f"{path} does not name {page}"


def test_ways_have_tests() -> None:
    """Each way that a block may be run in is a test, here or beside."""
    ways = {way_of(block) for block in all_blocks()} - {"exception", "own test"}
    folders = (ROOT / "tests" / "docs", ROOT / "tests" / "javascript")
    sources = "".join(path.read_text() for folder in folders for path in folder.glob("test_*.py"))
    assert not {
        way
        for way in ways
        if f'blocks_by("{way}")' not in sources and f'places("{way}")' not in sources
    }


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, module_redis: EmbeddedValkey) -> dict[str, str]:
    """What failed of the Python of all pages, by place: one run for all tests."""
    folder = tmp_path_factory.mktemp("project")
    files = {
        "docs_settings.py": SETTINGS,
        "urls.py": "urlpatterns = []\n",
        "shop/__init__.py": "",
        "shop/models.py": MODELS,
        "shop/rooms.py": ROOMS,
        "shop/templates/shop/_order.html": "<li>{{ order.pk }}</li>\n",
    }
    write_files(folder, files)
    blocks = [
        {
            "page": block.page,
            "place": block.place,
            "code": code_of(block, module_redis.url),
            "file": block.file,
        }
        for block in all_blocks()
        if block in RUN
    ]
    done = subprocess.run(
        [sys.executable, "-m", "tests.docs.run_blocks"],
        cwd=ROOT,
        input=json.dumps(blocks),
        env={
            **os.environ,
            "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}",
            "DJANGO_SETTINGS_MODULE": "docs_settings",
            "DOCS_FOLDER": str(folder),
            "REDIS_URL": module_redis.url,
            "KAFKA_PASSWORD": "of a test",
            "SENTRY_DSN": "",
        },
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    failed: dict[str, str] = json.loads(done.stdout)
    return failed


def code_of(block: Block, redis_url: str) -> str:
    """Return the Python of a block, with a Redis that is there; of a diff what it leaves.

    Machines of examples become addresses of this one.
    """
    code = block.code
    if block.language == "diff":
        code = "".join(f"{line[1:]}\n" for line in code.splitlines() if line[:1] != "-")
    code = code.replace("redis://127.0.0.1:6379", redis_url).replace("10.0.0.", "127.0.0.")
    return code.replace('("127.0.0.1", 6379)', f'"{redis_url}"')


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.place)
def test_python_runs(block: Block, ran: dict[str, str]) -> None:
    """In the page's order, with a real Redis; settings are loaded and checked."""
    assert block.place not in ran, ran[block.place]
    assert block.page not in ran, ran[block.page]


@places("diff")
def test_diff_begins_with_what_was_there(block: Block) -> None:
    """The side that a diff takes away is Python, too."""
    old = "".join(f"{line[1:]}\n" for line in block.code.splitlines() if line[:1] != "+")
    compile(old, block.place, "exec")
    assert any(line.startswith("-") for line in block.code.splitlines())


@places("commands")
def test_commands_are_taken(block: Block) -> None:
    """Our commands, scripts and extras have what is written; a shell can read the rest."""
    lines = commands_of(block.code, console=block.language == "console")
    assert lines
    check_grammar("\n".join(re.sub(r"[][…]", "", line) for line in lines))
    for line in lines:
        for part in re.split(r" \| |; ", re.sub(r"\s#\s.*", "", line)):
            check_command(part)


@pytest.mark.parametrize(
    "line",
    [
        "manage.py realtime romos",
        "manage.py realtime rooms --tidy",
        "python manage.py runkafak",
        "pip install 'shardlayer[sever]'",
        "python -m benchmarks braodcast",
        "python -m pytest --palce x",
        "bin/nothing",
        "bin/units --dir /srv",
        "frobnicate",
    ],
)
def test_command_that_is_not_there_is_found_out(line: str) -> None:
    """A slip in a command, an option, an extra or a program."""
    with pytest.raises(Refused):
        check_command(line)


INLINE = re.compile(r"`(?:\w+=\S+ )*((?:python )?manage\.py \w[^`]*|python -m benchmarks [^`]*)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_in_sentences_are_taken(page: Path) -> None:
    """What a sentence or a table calls a command is one."""
    for line in INLINE.findall(page.read_text()):
        check_command(line.replace("\\|", "|"), whole=False)


@places("json")
def test_json_is_json(block: Block) -> None:
    """It parses."""
    json.loads(block.code)


@pytest.mark.needs("promtool")
@places("yaml")
def test_yaml_is_what_it_says(block: Block, tmp_path: Path) -> None:
    """It parses, and who reads such a file takes it: Prometheus, or Compose after our own file."""
    assert yaml.safe_load(block.code)
    path = tmp_path / (block.file or "")
    path.write_text(block.code)
    match block.file:
        case "prometheus.yml":
            assert_taken("promtool", "check", "config", path)
        case "tls.yml":
            files = (ROOT / "docker-compose.horizontal.yml", path)
            environ = {**SECRETS, "DJANGO_ALLOWED_HOSTS": "www.example.com"}
            document = load(*files, environ=environ)
            jsonschema.validate(document, json.loads(COMPOSE_SCHEMA.read_text()))
            haproxy = document["services"]["haproxy"]
            assert "443:8443" in haproxy["ports"]
            assert haproxy["environment"]["HAPROXY_SOCKETS_PER_NODE"], "ours is still there"
        case _:
            pytest.fail("say here who checks this one")


@pytest.mark.needs("haproxy")
@places("haproxy")
def test_haproxy_takes_it(block: Block, tmp_path: Path) -> None:
    """As a line of a proxy's front."""
    path = tmp_path / "haproxy.cfg"
    front = "defaults\n timeout client 1s\n timeout connect 1s\n timeout server 1s\n"
    front += "frontend clients\n mode http\n bind 127.0.0.1:1\n default_backend nodes\n"
    path.write_text(f"{front} {block.code}\nbackend nodes\n mode http\n")
    assert_taken("haproxy", "-c", "-f", path)


@pytest.mark.needs("nginx")
@places("nginx")
def test_nginx_takes_it(block: Block, tmp_path: Path) -> None:
    """As a file of conf.d, with a certificate that is there."""
    key, certificate = tmp_path / "site.key", tmp_path / "site.pem"
    request = [
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
        *("-nodes", "-subj", "/CN=shop.example", "-keyout", str(key), "-out", str(certificate)),
    ]
    subprocess.run(request, capture_output=True, check=True)
    code = block.code.replace("/etc/ssl/shop.pem", str(certificate))
    code = code.replace("/etc/ssl/shop.key", str(key))
    path = tmp_path / "nginx.conf"
    logs = f"pid {tmp_path}/pid;\nerror_log {tmp_path}/error.log;\n"
    path.write_text(f"{logs}events {{}}\nhttp {{\naccess_log off;\n{code}}}\n")
    assert_taken("nginx", "-t", "-c", path)


@pytest.mark.needs("systemd-analyze")
@places("units")
def test_systemd_takes_it(block: Block, tmp_path: Path) -> None:
    """With the programs of this environment; their options are looked at, too."""
    assert block.file is not None
    path = tmp_path / Path(block.file).name.replace("@.", "@1.")
    path.write_text(block.code.replace("/srv/shop/.venv/bin", str(Path(sys.executable).parent)))
    assert_taken("systemd-analyze", "verify", "--man=no", path)
    (started,) = re.findall(r"^ExecStart=/srv/shop/.venv/bin/(.*)$", block.code, re.MULTILINE)
    check_command(started.replace("%i", "1"))


@places("redis")
def test_redis_takes_it(block: Block, redis_server: EmbeddedValkey) -> None:
    """The user can be made as it is written."""
    words = block.code.split()
    with Redis.from_url(redis_server.url) as redis:
        assert redis.execute_command(*words)
        assert redis.execute_command("ACL", "DELUSER", "layer") == 1


VOID = {"input", "link", "meta", "img", "br", "hr"}


class Nesting(HTMLParser):
    """Raises where an element is closed that is not open.

    Attributes:
        open: The elements that are open.
    """

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element that wants an end."""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost one."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@places("template")
def test_template_renders_to_html(block: Block) -> None:
    """As Django renders it; what it makes is nested as HTML is. Its scripts: tests/javascript."""
    request = RequestFactory().get("/")
    request.user = AnonymousUser()
    request.session = SessionBase()
    context = RequestContext(request, {"room": "orders.7", "orders": []})
    page = Nesting()
    page.feed(Template(block.code).render(context))
    page.close()
    assert set(page.open) <= {"main"}  # of which one page shows only the beginning
