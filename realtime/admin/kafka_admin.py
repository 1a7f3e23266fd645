"""The admin's Kafka page: who reads what, what waits, and the dead letters."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from asgiref.sync import async_to_sync
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, path
from django.utils.datastructures import MultiValueDictKeyError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from realtime.admin.admin_page import AdminPage, Memory, Query
from realtime.admin.admin_permissions import Permission
from realtime.conf import conf
from realtime.models import KafkaPage
from realtime.operations import akafka
from realtime.operations.dead_letters import (
    LettersLook,
    look_at_letters,
    replay_letter,
    replay_letters,
)
from realtime.operations.kafka_look import KAFKA_FACTOR, KafkaLook, look_at_kafka
from realtime.operations.kafka_partitions import kafka_partitions
from realtime.templatetags.realtime_admin import count
from realtime.view_decorators import without_transaction

if TYPE_CHECKING:
    from realtime.kafka.letters.filed_letters import Filed

LETTERS_SHOWN = 50  # on a page
TEXT_SHOWN = 2_000  # characters of a payload
KEY_SHOWN = 120  # characters of a key, or of a header
HEADERS_SHOWN = 20  # of a letter
ASK_PAUSE = 5.0  # seconds between two questions to the brokers, of a page that is open
REPLAY_TIME = 10.0  # seconds that a replay of all may take before its page says what is left


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLetter:
    """A dead letter as the page shows it."""

    topic: str  # in which it lies; this, partition and offset name it
    partition: int
    offset: int
    written: datetime
    record: str  # where the record was; empty: it is no letter
    reason: str
    key: str | None
    headers: tuple[tuple[str, str], ...]
    text: str
    size: int  # bytes of the payload
    is_cut: bool
    is_replayed: bool

    @classmethod
    def of(cls, item: Filed) -> ShownLetter:
        """Return how to show a letter: what can't be text as well as it can."""
        letter = item.letter
        text = _text(item.record.value)
        headers = item.record.headers if letter is None else letter.headers
        return cls(
            topic=item.at.topic,
            partition=item.at.partition,
            offset=item.offset,
            written=datetime.fromtimestamp(max(0, item.record.timestamp) / 1000, UTC),
            record="" if letter is None else f"{letter.topic}/{letter.partition}, {letter.offset}",
            reason=_("not a dead letter: another program wrote it")
            if letter is None
            else letter.error,
            key=None if item.record.key is None else _text(item.record.key)[:KEY_SHOWN],
            headers=tuple(
                (name[:KEY_SHOWN], _text(value)[:KEY_SHOWN])
                for name, value in headers[:HEADERS_SHOWN]
            ),
            text=text[:TEXT_SHOWN],
            size=item.size,
            is_cut=len(text) > TEXT_SHOWN or item.size > len(item.record.value or b""),
            is_replayed=item.replayed,
        )


class KafkaAdmin(AdminPage):
    """Kafka: the group's members, its partitions, dead letters."""

    page_title = gettext_lazy("Kafka")
    page_template = "admin/realtime/kafka.html"
    parts: ClassVar[Mapping[str, str]] = {"kafka": "admin/realtime/parts/kafka.html"}

    def get_urls(self) -> list[URLPattern]:
        """Serve the page, and what sends dead letters again."""
        replay = self.admin_site.admin_view(self.replay_view)
        return [*super().get_urls(), path("replay/", replay, name="realtime_kafkapage_replay")]

    async def look(self, query: Query, memory: Memory) -> Mapping[str, Any]:
        """Return what the brokers and the pools tell."""
        kafka, pools = await asyncio.gather(self._brokers(memory), akafka())
        partitions = kafka_partitions(kafka, pools)
        lags = [each.lag for each in partitions if each.lag is not None]
        return {
            "kafka": kafka,
            "pools": pools,
            "partitions": partitions,
            "lag": sum(lags) if lags or kafka.group is not None else None,
            "paused": sum(each.state == "paused" for each in partitions) if partitions else None,
        }

    async def _brokers(self, memory: Memory) -> KafkaLook:
        """Ask the brokers, or say what they said a moment ago: each look connects anew."""
        now = time.monotonic()
        if "kafka" not in memory or now - memory["asked"] >= ASK_PAUSE:
            memory["asked"] = now
            memory["kafka"] = await look_at_kafka(within=_patience())
        found: KafkaLook = memory["kafka"]
        return found

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the page, with a page of dead letters."""
        self.require(request, Permission.VIEW)
        place = request.GET.get("letters", "")
        memory: Memory = {}
        found: LettersLook = async_to_sync(self._letters)(place, memory)
        shown = [] if found.page is None else [ShownLetter.of(item) for item in found.page.letters]
        context = {"letters": found, "shown": shown, "is_first": not place}
        context |= {"title": self.page_title} | (extra_context or {})
        return self.show(request, self.page_template, context, memory=memory)

    async def _letters(self, place: str, memory: Memory) -> LettersLook:
        """Look at dead letters, and ask the brokers meanwhile: who hangs is waited for once."""
        letters, _ = await asyncio.gather(
            look_at_letters(count=LETTERS_SHOWN, place=place, within=_patience()),
            self._brokers(memory),
        )
        return letters

    @without_transaction  # the note of what is done stays, whatever comes behind it
    def replay_view(self, request: HttpRequest) -> HttpResponse:
        """Send one dead letter again, or all of them, which is asked first."""
        self.require(request, Permission.REPLAY)
        if request.method == "POST":
            if "all" in request.POST:
                self._replay_all(request)
            else:
                self._replay_one(request)
            return redirect(self.address("kafkapage"))
        found: LettersLook = async_to_sync(look_at_letters)(count=1, within=_patience())
        context = {
            "title": _("Replay all dead letters"),
            "waiting": None if found.page is None else found.page.waiting,
            "why": found.why,
            "topics": conf().kafka_topics,
        }
        return self.show(request, "admin/realtime/replay.html", context, view="replay")

    def _replay_one(self, request: HttpRequest) -> None:
        try:
            topic = request.POST["topic"]
            partition, offset = (int(request.POST[name]) for name in ("partition", "offset"))
        except (MultiValueDictKeyError, ValueError):
            messages.error(request, _("There is no such dead letter."))
            return
        name = _("%(topic)s/%(partition)s, offset %(offset)s") % {
            "topic": topic,
            "partition": partition,
            "offset": offset,
        }
        replay = partial(replay_letter, topic, partition, offset, within=REPLAY_TIME)
        subject = KafkaPage(name=name[:KEY_SHOWN])
        deed = _("Sent the dead letter %(letter)s to its topic again.") % {
            "letter": name[:KEY_SHOWN]
        }
        if self.act(request, subject, deed, async_to_sync(replay)) is False:
            messages.info(request, _("It was sent again before, so it was not sent a second time."))

    def _replay_all(self, request: HttpRequest) -> None:
        topics = ", ".join(conf().kafka_topics)
        replay = partial(replay_letters, within=REPLAY_TIME)
        deed = _("Sent the dead letters of %(topics)s to their topics again.") % {"topics": topics}
        done = self.act(request, KafkaPage(name=topics[:KEY_SHOWN]), deed, async_to_sync(replay))
        if done is not None:
            said = _("%(sent)s were sent, %(left)s are left.") % {
                "sent": count(done.sent),
                "left": count(done.left),
            }
            if done.repeats:
                said += " " + _("%(repeats)s were there twice, and were sent only once.") % {
                    "repeats": count(done.repeats)
                }
            messages.info(request, said)


def _patience() -> float:
    """Return the seconds that Kafka may take to answer."""
    return KAFKA_FACTOR * conf().check_timeout


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
