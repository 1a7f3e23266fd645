"""The jars: fetched once, whole or not at all."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from tests.apache_kafka import jars
from tests.apache_kafka.jars import JarsNotFetched, cache_folder, kafka_jars

MAVEN = """#!/bin/sh
# Stands where Maven does: notes each call, and writes a jar into the folder that it is told.
echo called >> {calls}
for argument; do
    case $argument in -DoutputDirectory=*) folder=${{argument#*=}} ;; esac
done
sleep 0.2
echo jar > "$folder/kafka.jar"
exit {code}
"""


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Maven that works, and where it notes its calls."""
    return install_maven(tmp_path, monkeypatch, code=0)


def install_maven(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, code: int) -> Path:
    """Put a Maven that ends with this code first into PATH; return where it notes its calls."""
    calls = tmp_path / "calls"
    calls.touch()
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.write_text(MAVEN.format(calls=calls, code=code))
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{maven.parent}:/usr/bin:/bin")
    return calls


def test_processes_that_ask_at_once_fetch_once(tmp_path: Path, calls: Path) -> None:
    """All get the same folder, after one call of Maven."""
    cache = tmp_path / "cache"
    with multiprocessing.get_context("spawn").Pool(3) as processes:
        found = {call.get() for call in [processes.apply_async(ask, [cache]) for _ in range(3)]}
    assert [[jar.name for jar in folder.iterdir()] for folder in found] == [["kafka.jar"]]
    assert calls.read_text() == "called\n"


def ask(cache: Path) -> Path:
    """Ask for the jars in a process of its own."""
    return kafka_jars(cache=cache)


def test_another_pom_is_another_folder(
    tmp_path: Path, calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new version does not take the jars of the old one."""
    before = kafka_jars(cache=tmp_path / "cache")
    changed = tmp_path / "pom.xml"
    changed.write_text(jars.POM.read_text().replace("4.1.0", "4.2.0"))
    monkeypatch.setattr(jars, "POM", changed)
    assert kafka_jars(cache=tmp_path / "cache") != before
    assert calls.read_text() == "called\ncalled\n"


def test_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Maven is tried a few times; then the error has its command, and no half folder stays."""
    calls = install_maven(tmp_path, monkeypatch, code=1)
    with pytest.raises(JarsNotFetched, match="copy-dependencies"):
        kafka_jars(cache=tmp_path / "cache")
    assert calls.read_text() == "called\n" * jars.ATTEMPTS
    assert [file.name for file in (tmp_path / "cache").iterdir()] == ["apache-kafka.lock"]


def test_cache_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """XDG_CACHE_HOME counts, else ~/.cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "shardlayer"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "shardlayer"
