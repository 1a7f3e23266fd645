"""The admin's Kafka page."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import Callable, Sequence
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

from demo.embedded import EmbeddedTansu, free_port
from realtime.admin import kafka_admin
from realtime.kafka.brokers import Brokers
from realtime.kafka.deadletters import Letter
from realtime.kafka.letters.postbox import Postbox
from tests.realtime.admin.staff import body, make_staff
from tests.realtime.kafka.written_letters import SUFFIX, letter, write_letters

KAFKA = "/admin/realtime/kafkapage/"
REPLAY = f"{KAFKA}replay/"

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.kafka,
    pytest.mark.usefixtures("redis_of_admin"),
]


@pytest.fixture
def brokers(kafka_broker: EmbeddedTansu) -> Brokers:
    """Where Kafka is."""
    return Brokers(servers=[kafka_broker.bootstrap_servers], options={})


@pytest.fixture
def topic(kafka_broker: EmbeddedTansu, settings: Settings) -> str:
    """A topic with two partitions, which nobody reads."""
    name = f"topic-{uuid4().hex[:12]}"
    kafka_broker.create_topic(name, partitions=2)
    settings.REALTIME = {
        "KAFKA_BOOTSTRAP_SERVERS": [kafka_broker.bootstrap_servers],
        "KAFKA_TOPICS": [name, "not-there-yet"],
        "KAFKA_GROUP": name,
        "CHECK_TIMEOUT": 5.0,
    }
    return name


Write = Callable[[Sequence[Letter]], None]


@pytest.fixture
def write(brokers: Brokers) -> Write:
    """Writes dead letters."""
    return lambda letters: asyncio.run(write_letters(brokers, letters))


@pytest.fixture
def operator(client: Client, db: None) -> Client:
    """The browser of somebody who may replay."""
    client.force_login(make_staff("view_room", "replay_letter", name="operator"))
    return client


def replayed(brokers: Brokers, topic: str) -> list[bool]:
    """Return which letters were sent again, in their order."""

    async def found() -> list[bool]:
        box = Postbox(brokers=brokers, topics=[topic], suffix=SUFFIX, group=topic)
        return [item.replayed async for item in box.letters()]

    return asyncio.run(found())


def test_partitions_that_nobody_reads(staff: Client, topic: str) -> None:
    """Without a pool every partition is there, and says that nobody reads it."""
    page = body(staff, KAFKA)
    assert f"{topic}/0" in page
    assert f"{topic}/1" in page
    assert page.count("no pool reads this") == 2
    assert "There is no such topic yet." in page
    assert "No pool reads from Kafka" in page
    assert "0 kept" in page


def test_letters_with_their_reason(staff: Client, topic: str, write: Write) -> None:
    """A letter says where its record was, why it is one, and how it begins; nothing is a tag."""
    hostile = b"<script>alert(1)</script>" + b"x" * 30_000
    write([letter(topic, 7, partition=1, value=hostile)])
    page = body(staff, KAFKA)
    assert f"{topic}/1, 7" in page
    assert "not JSON: number 7" in page
    assert "&lt;script&gt;alert(1)" in page
    assert "<script>alert" not in page
    assert "trace: t7" in page
    assert "The payload is longer than this." in page
    assert len(page) < 40_000


@pytest.mark.parametrize("field", ["error", "key"])
def test_everything_of_a_letter_is_escaped(
    staff: Client, topic: str, brokers: Brokers, write: Write, field: str
) -> None:
    """What a stranger wrote into a record stays text."""
    tag = "<img src=x onerror=alert(1)>"
    one = letter(topic, 1)
    values = {"error": one.error, "key": one.key} | {
        field: tag if field == "error" else tag.encode()
    }
    write(
        [
            Letter(
                topic=topic,
                partition=0,
                offset=1,
                error=str(values["error"]),
                key=values["key"] if isinstance(values["key"], bytes) else None,
                value=tag.encode(),
                headers=((tag, tag.encode()),),
            )
        ]
    )
    page = body(staff, KAFKA)
    assert "<img" not in page
    assert page.count("&lt;img") == 4


def test_pages_of_letters(
    staff: Client, topic: str, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Older letters are on further pages; there is none behind the last."""
    monkeypatch.setattr(kafka_admin, "LETTERS_SHOWN", 2)
    write([letter(topic, n, partition=n % 2) for n in range(5)])
    path, seen = KAFKA, []
    for _ in range(10):
        page = body(staff, path)
        seen.append([int(n) for n in re.findall(r"not JSON: number (\d)", page)])
        following = re.search(r'href="(\?letters=[^"]*)">Older', page)
        if following is None:
            break
        path = KAFKA + following[1]
    assert seen == [[4, 3], [2, 1], [0]]
    assert "Newest" in page
    assert "No more dead letters" not in page
    assert "5 kept" in body(staff, f"{KAFKA}?letters=<script>.0-0-x")


def test_one_letter_is_replayed(
    operator: Client, topic: str, brokers: Brokers, write: Write
) -> None:
    """The button sends it once, and the log has it."""
    write([letter(topic, n) for n in range(2)])
    fields = {"topic": topic + SUFFIX, "partition": "0", "offset": "0"}
    response = operator.post(REPLAY, fields, follow=True)
    page = response.content.decode()
    assert "to its topic again." in page
    assert page.count("sent again</span>") == 1
    assert replayed(brokers, topic) == [True, False]
    [entry] = LogEntry.objects.all()
    assert entry.object_id == f"{topic}.dlq/0, offset 0"
    assert "Sent the dead letter" in entry.get_change_message()

    page = operator.post(REPLAY, fields, follow=True).content.decode()
    assert "it was not sent a second time" in page


def test_letters_that_can_not_be_sent_alone(
    operator: Client, topic: str, brokers: Brokers, write: Write
) -> None:
    """What this broker can't note is not sent, and the page says what to do."""
    write([letter(topic, n) for n in range(2)])
    fields = {"topic": topic + SUFFIX, "partition": "0", "offset": "1"}
    page = operator.post(REPLAY, fields, follow=True).content.decode()
    assert "send all of them" in page
    assert replayed(brokers, topic) == [False, False]
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"topic": "events.dlq", "partition": "x", "offset": "1"},
        {"topic": "another", "partition": "0", "offset": "1"},
        {"topic": "<b>", "partition": "-1", "offset": "9" * 40},
    ],
)
def test_letters_that_are_not_there(
    operator: Client, topic: str, fields: dict[str, str], write: Write
) -> None:
    """A form that somebody made up is told so, sends nothing and logs nothing."""
    write([letter(topic, 0)])
    page = operator.post(REPLAY, fields, follow=True).content.decode()
    assert "There is no such" in page
    assert "<b>" not in page
    assert not LogEntry.objects.exists()


def test_all_are_replayed_after_a_question(
    operator: Client, topic: str, brokers: Brokers, write: Write
) -> None:
    """The page asks first; then it says how many were sent, and the log has it."""
    write([letter(topic, n, partition=n % 2) for n in range(4)])
    assert f'href="{REPLAY}"' in body(operator, KAFKA)
    assert "Send 4 dead letters" in body(operator, REPLAY)
    assert not any(replayed(brokers, topic))
    page = operator.post(REPLAY, {"all": "yes"}, follow=True).content.decode()
    assert "4 were sent, 0 are left." in page
    assert all(replayed(brokers, topic))
    assert LogEntry.objects.count() == 1


def test_only_who_may_replays(staff: Client, topic: str, brokers: Brokers, write: Write) -> None:
    """Who may only look sees no button, and is refused."""
    write([letter(topic, 0)])
    page = body(staff, KAFKA)
    assert REPLAY not in page
    fields = {"topic": topic + SUFFIX, "partition": "0", "offset": "0"}
    for response in (
        staff.get(REPLAY),
        staff.post(REPLAY, fields),
        staff.post(REPLAY, {"all": "yes"}),
    ):
        assert response.status_code == 403
    assert replayed(brokers, topic) == [False]


def test_only_staff_with_the_permission_may_look(client: Client, topic: str) -> None:
    """Nobody else gets in."""
    for path in (KAFKA, REPLAY):
        assert "/admin/login/" in client.get(path)["Location"]
    client.force_login(User.objects.create_user("clerk", is_staff=True))
    for path in (KAFKA, REPLAY):
        assert client.get(path).status_code == 403


def test_forms_of_other_sites_do_nothing(
    topic: str, brokers: Brokers, write: Write, db: None
) -> None:
    """A replay needs the page's token."""
    write([letter(topic, 0)])
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_staff("view_room", "replay_letter", name="operator"))
    assert client.post(REPLAY, {"all": "yes"}).status_code == 403
    assert replayed(brokers, topic) == [False]


def test_second_admin_site_is_not_left(
    operator: Client, topic: str, settings: Settings, write: Write
) -> None:
    """Every link, form and answer leads to the admin site that the page is of."""
    settings.ROOT_URLCONF = "tests.realtime.two_admins"
    write([letter(topic, 0)])
    second = KAFKA.replace("/admin/", "/second/")
    for path in (second, f"{second}replay/"):
        links = re.findall(r'(?:href|action)="(/[^"]*)"', body(operator, path))
        assert not [link for link in links if link.startswith("/admin/")]
    assert operator.post(f"{second}replay/", {"all": "yes"})["Location"] == second


def test_dead_kafka_is_unknown(staff: Client, settings: Settings) -> None:
    """Without Kafka the page stays, and says which server does not answer."""
    port = free_port()
    settings.REALTIME = {
        "KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{port}"],
        "KAFKA_PASSWORD": "secret",
    }
    page = body(staff, KAFKA)
    assert page.count(f"Kafka at 127.0.0.1:{port}") == 2
    assert "brokers is unknown" in page
    assert "secret" not in page
    assert "0 kept" not in page


def test_dead_kafka_replays_nothing(operator: Client, settings: Settings) -> None:
    """A replay says that Kafka is away."""
    settings.REALTIME = {"KAFKA_BOOTSTRAP_SERVERS": [f"127.0.0.1:{free_port()}"]}
    assert "The number of dead letters is unknown" in body(operator, REPLAY)
    page = operator.post(REPLAY, {"all": "yes"}, follow=True).content.decode()
    assert "It is unknown whether this was done" in page
    [entry] = LogEntry.objects.all()
    assert "may or may not have been done" in entry.get_change_message()


def test_frozen_kafka_ends_in_time(
    staff: Client, topic: str, kafka_broker: EmbeddedTansu, settings: Settings
) -> None:
    """A Kafka that takes connections and answers nothing is unknown, in limited time."""
    settings.REALTIME = settings.REALTIME | {"CHECK_TIMEOUT": 0.5}
    assert kafka_broker.pid is not None
    os.kill(kafka_broker.pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        page = body(staff, KAFKA)
        assert time.monotonic() - began < 20
    finally:
        os.kill(kafka_broker.pid, signal.SIGCONT)
    assert "no answer in time" in page


def test_letters_are_switched_off(staff: Client, topic: str, settings: Settings) -> None:
    """Where none are kept, the page says so."""
    settings.REALTIME = settings.REALTIME | {"KAFKA_DEAD_LETTER_SUFFIX": None}
    assert "None are kept" in body(staff, KAFKA)


def test_strangers_can_not_be_replayed(
    operator: Client, topic: str, brokers: Brokers, write: Write
) -> None:
    """A letter that claims to be of another topic is shown as what it is."""
    write([letter(topic, 0)])
    asyncio.run(_forge(brokers, TopicPartition(topic + SUFFIX, 0)))
    page = body(operator, KAFKA)
    assert "another program wrote it" in page
    assert page.count('name="offset"') == 1


async def _forge(brokers: Brokers, at: TopicPartition) -> None:
    from aiokafka import AIOKafkaProducer

    async with AIOKafkaProducer(**brokers.arguments()) as producer:
        headers = letter("secrets", 5).all_headers()
        await producer.send_and_wait(at.topic, b"x", partition=at.partition, headers=headers)
