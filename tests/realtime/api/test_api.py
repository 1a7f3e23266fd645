"""Publishing over HTTP, on both of Django's handlers, to a real Redis."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import AsyncClient, Client
from django.urls import include, path
from django.utils import timezone
from pytest_django import Settings

from demo.embedded import EmbeddedValkey, free_port
from realtime.access.users import user_room
from realtime.api import api_keys, api_views
from realtime.api.api_counters import counters
from realtime.api.api_errors import ApiError
from realtime.api.api_keys import digest_of, make_key
from realtime.api.api_requests import ApiPublication
from realtime.models import ApiKey
from realtime.past import history
from tests.realtime.client import Client as RoomClient
from tests.realtime.conftest import channel_layers
from tests.shardlayer.fakes import FakeClock

pytestmark = pytest.mark.django_db(transaction=True)

urlpatterns = [path("api/", include("realtime.api_urls"))]


@pytest.fixture(autouse=True)
def api(settings: Settings, redis_server: EmbeddedValkey) -> None:
    """The addresses, on a real Redis; no key has published before."""
    settings.ROOT_URLCONF = __name__
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    api_keys._full_at.clear()


def new_key(*rooms: str, **more: Any) -> str:
    """Return the text of a new key."""
    made, text = make_key(f"service {ApiKey.objects.count()}", rooms or ("*",), **more)
    made.full_clean()
    made.save()
    return text


def post(where: str, body: Any, key: str | None = None, **headers: str) -> Any:
    """Send a request as a service does, past Django's CSRF check."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    client = Client(enforce_csrf_checks=True)
    return client.post(f"/api/{where}", data, content_type="application/json", headers=headers)


def error_of(answer: Any) -> tuple[int, str]:
    """Return status and code of an answer."""
    return answer.status_code, orjson.loads(answer.content)["error"]["code"]


def test_publishes() -> None:
    """The answer says where it stands; the history has what was sent."""
    published = counters.published
    answer = post("publish", {"room": "orders", "data": {"n": "ä"}}, new_key())
    assert answer.status_code == 200
    found = orjson.loads(answer.content)
    assert found["room"] == "orders"
    assert found["offset"] == 1
    assert len(found["epoch"]) == 8
    assert [item.data for item in history("orders").publications] == [{"n": "ä"}]
    assert counters.published == published + 1
    assert answer["Content-Type"] == "application/json"


async def test_publishes_under_asgi_and_reaches_clients() -> None:
    """On the other handler; the client whose id is named does not get it."""
    key = await sync_new_key()
    async with RoomClient() as client, RoomClient() as other:
        name = (await client.ask(1, connect={}))["connected"]["client"]
        for each in (client, other):
            await each.ask(2, subscribe={"room": "orders"})
        answer = await AsyncClient().post(
            "/api/publish",
            orjson.dumps({"room": "orders", "data": 1, "exclude": name}),
            content_type="application/json",
            headers={"Authorization": f"Bearer {key}"},
        )
        assert answer.status_code == 200
        assert (await other.receive())["data"] == 1
        assert await client.receive() == {"room": "orders", "offset": 1}


async def sync_new_key() -> str:
    """Return a new key, in a loop."""
    made, text = make_key("service", ["*"])
    await made.asave()
    return text


def test_key_is_kept_as_a_digest() -> None:
    """The table has neither the key nor what it could be made from; its use is noted."""
    text = new_key()
    kept = ApiKey.objects.get()
    assert kept.digest == digest_of(text)
    assert text not in str(ApiKey.objects.values())
    assert kept.hint == text[:8]
    assert kept.used_at is None
    post("publish", {"room": "a", "data": 1}, text)
    kept.refresh_from_db()
    assert kept.used_at is not None


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer slk_x", "Basic YTpi", "Bearer ä"])
def test_without_a_key_that_counts_nothing_is_done(header: str | None) -> None:
    """It is told how to send one."""
    headers = {} if header is None else {"Authorization": header}
    refused = counters.keys_refused
    answer = post("publish", {"room": "a", "data": 1}, **headers)
    assert error_of(answer) == (401, "bad_key")
    assert answer["WWW-Authenticate"] == "Bearer"
    assert counters.keys_refused == refused + 1


def test_revoked_key_counts_no_more() -> None:
    """From the moment on."""
    text = new_key()
    ApiKey.objects.update(revoked_at=timezone.now())
    assert error_of(post("publish", {"room": "a", "data": 1}, text)) == (401, "bad_key")


def test_key_opens_its_rooms_alone() -> None:
    """By their patterns; a star does not reach into users' rooms, and nothing into the workers'."""
    key, every = new_key("orders.*", "news"), new_key("*", "user.*")
    for room, status in (("orders.7", 200), ("news", 200), ("newsletter", 403), ("orders", 403)):
        assert post("publish", {"room": room, "data": 1}, key).status_code == status
    own = user_room(7)
    assert error_of(post("publish", {"room": own, "data": 1}, new_key("*"))) == (403, "forbidden")
    assert post("publish", {"room": own, "data": 1}, every).status_code == 200
    for room in ("realtime-control", "realtime-removals", "realtime-nodes"):
        assert error_of(post("publish", {"room": room, "data": 1}, every)) == (403, "forbidden")


def test_data_that_are_nested_too_deep() -> None:
    """What can be read but not written is an error of the request."""
    body = b'{"room":"a","data":' + b"[" * 400 + b"]" * 400 + b"}"
    assert error_of(post("publish", body, new_key())) == (400, "bad_request")


def test_announces_with_leave() -> None:
    """Only a key that may; it takes no idempotency key, since nothing is kept."""
    key = new_key(announces=True)
    answer = post("announce", {"data": {"text": "Soon."}}, key)
    assert (answer.status_code, answer.content) == (200, b"{}")
    assert error_of(post("announce", {"data": 1}, new_key())) == (403, "forbidden")
    again = post("announce", {"data": 1}, key, **{"Idempotency-Key": "k"})
    assert error_of(again) == (400, "bad_request")


def test_batch_publishes_all_in_order() -> None:
    """Each item has its result; what goes to one room keeps its order."""
    items = [{"room": f"r{n % 3}", "data": n} for n in range(30)]
    answer = post("batch", {"items": items}, new_key())
    results = orjson.loads(answer.content)["results"]
    assert [result["room"] for result in results] == [item["room"] for item in items]
    assert [result["offset"] for result in results] == [n // 3 + 1 for n in range(30)]
    assert [item.data for item in history("r0").publications] == list(range(0, 30, 3))


@pytest.mark.parametrize(
    ("item", "status", "code"),
    [
        ({"room": "no room", "data": 1}, 400, "bad_room"),
        ({"room": "a"}, 400, "bad_request"),
        ({"room": "secret", "data": 1}, 403, "forbidden"),
        ({"room": "a", "data": "x" * 2_000}, 413, "too_large"),
        ({"room": "a", "data": 1, "key": "k"}, 400, "bad_request"),
        ({"room": "a", "data": 1, "exclude": "me"}, 400, "bad_request"),
        ({"room": "a", "data": 1, "idempotency_key": ""}, 400, "bad_request"),
        (7, 400, "bad_request"),
    ],
)
def test_batch_with_a_wrong_item_publishes_nothing(
    settings: Settings, redis_server: EmbeddedValkey, item: Any, status: int, code: str
) -> None:
    """The error says which one."""
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url], max_message_size=1_000)
    answer = post("batch", {"items": [{"room": "a", "data": 1}, item]}, new_key("a"))
    assert error_of(answer) == (status, code)
    assert orjson.loads(answer.content)["error"]["item"] == 1
    assert history("a").publications == []


def test_same_key_publishes_once() -> None:
    """By the header or the member; each service's keys are its own; a batch's items have theirs."""
    key, other = new_key(), new_key()
    body = {"room": "a", "data": 1}
    header = {"Idempotency-Key": "order-7"}
    first = post("publish", body, key, **header)
    assert post("publish", body, key, **header).content == first.content
    assert post("publish", body | {"idempotency_key": "order-7"}, key).content == first.content
    assert orjson.loads(post("publish", body, other, **header).content)["offset"] == 2
    items = {"items": [body, body]}
    again = [post("batch", items, key, **{"Idempotency-Key": "b"}).content for _ in range(2)]
    assert again[0] == again[1]
    assert len(history("a").publications) == 4
    for wrong in ("x" * 101, "a\tb"):
        answer = post("publish", body, key, **{"Idempotency-Key": wrong})
        assert error_of(answer) == (400, "bad_request")


def test_rate_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each item of a batch counts; it is told when to come back; another key is not touched."""
    monkeypatch.setattr("shardlayer.aio.token_buckets.monotonic", FakeClock())
    key, other = new_key(rate=1), new_key(rate=0)
    limited = counters.limited
    batch = {"items": [{"room": "a", "data": 1}] * 2}
    assert post("batch", batch, key).status_code == 200
    answer = post("publish", {"room": "a", "data": 1}, key)
    assert error_of(answer) == (429, "rate")
    assert answer["Retry-After"] == "1"
    assert counters.limited == limited + 1
    batch["items"] *= 2
    assert error_of(post("batch", batch, key)) == (413, "too_large")
    assert post("batch", batch, other).status_code == 200


def test_sizes_are_limited(settings: Settings) -> None:
    """A body, and the items of a batch."""
    settings.REALTIME = settings.REALTIME | {"API_MAX_BODY": 200, "API_MAX_ITEMS": 2}
    key = new_key()
    large = post("publish", {"room": "a", "data": "x" * 200}, key)
    assert error_of(large) == (413, "too_large")
    many = post("batch", {"items": [{"room": "a", "data": 1}] * 3}, key)
    assert error_of(many) == (413, "too_large")
    settings.REALTIME = settings.REALTIME | {"API_MAX_BODY": 0}
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 100
    large = post("publish", {"room": "a", "data": "x" * 200}, key)
    assert error_of(large) == (413, "too_large")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "bad_json"),
        (b"[]", "bad_request"),
        (b"\xff", "bad_json"),
        ({"room": "a"}, "bad_request"),
        ({"room": 7, "data": 1}, "bad_room"),
        ({"rooms": ["a"], "room": "a", "data": 1}, "bad_request"),
    ],
)
def test_wrong_bodies(body: Any, code: str) -> None:
    """Whatever is sent, the answer is JSON that says what is wrong."""
    assert error_of(post("publish", body, new_key())) == (400, code)


def test_empty_batch_is_wrong() -> None:
    """A batch that publishes nothing is a mistake."""
    bodies: tuple[Any, ...] = ({}, {"items": []}, {"items": {}})
    for body in bodies:
        assert error_of(post("batch", body, new_key())) == (400, "bad_request")


def test_other_methods_and_types() -> None:
    """A GET, and a form, are told what to send."""
    answer = Client().get("/api/publish")
    assert error_of(answer) == (405, "method")
    assert answer["Allow"] == "POST"
    headers = {"Authorization": f"Bearer {new_key()}"}
    answer = Client().post("/api/publish", {"room": "a"}, headers=headers)
    assert error_of(answer) == (415, "media_type")


def test_redis_is_away(settings: Settings) -> None:
    """It may be sent again; in a batch each item says what became of it."""
    layers = channel_layers(hosts=[f"redis://127.0.0.1:{free_port()}"], publish_timeout=0.2)
    settings.CHANNEL_LAYERS = layers
    key, failed = new_key(announces=True), counters.failed
    answer = post("publish", {"room": "a", "data": 1}, key)
    assert error_of(answer) == (503, "unavailable")
    assert answer["Retry-After"] == "1"
    assert "127.0.0.1" not in answer.content.decode()
    assert error_of(post("announce", {"data": 1}, key)) == (503, "unavailable")
    answer = post("batch", {"items": [{"room": "a", "data": 1}]}, key)
    (result,) = orjson.loads(answer.content)["results"]
    assert result["error"]["code"] == "unavailable"
    assert counters.failed == failed + 3


def test_database_is_away() -> None:
    """Where nobody can be asked for the key, that is said in JSON: nothing was published."""
    key = new_key()
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE realtime_apikey RENAME TO away")
        try:
            answer = post("publish", {"room": "a", "data": 1}, key)
            with pytest.raises(CommandError, match="database"):
                call_command("realtime", "apikey", "list")
        finally:
            cursor.execute("ALTER TABLE away RENAME TO realtime_apikey")
    assert error_of(answer) == (503, "unavailable")
    assert answer["Retry-After"] == "1"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"data": 1}, "'room' is missing"),
        ({"room": None, "data": 1}, "The room can't name a room: it is not a string, but null."),
        ({"room": 7, "data": 1}, "it is not a string, but a number."),
        ({"room": "", "data": 1}, "The room can't name a room: it is empty."),
        ({"room": "a b", "data": 1}, "'a b' can't name a room: its character 2 is ' '."),
        ({"room": "x" * 100, "data": 1}, "it has 100 characters."),
    ],
)
def test_wrong_room_is_told_what_is_wrong(body: dict[str, Any], says: str) -> None:
    """And the rule behind it, where the name can't be; never all of a long text."""
    answer = post("publish", body, new_key())
    assert error_of(answer) == (400, "bad_room")
    message = orjson.loads(answer.content)["error"]["message"]
    assert says in message
    assert len(message) < 300


def test_requests_are_counted_by_endpoint_and_outcome() -> None:
    """Each once, whatever becomes of it; neither rooms nor keys are named."""
    before = dict(counters.requests)
    key = new_key("a")
    post("publish", {"room": "a", "data": 1}, key)
    post("publish", {"room": "b", "data": 1}, key)
    post("announce", {"data": 1})
    post("batch", {"items": [{"room": "a", "data": 1}] * 2}, key)
    found = {
        place: count - before.get(place, 0)
        for place, count in counters.requests.items()
        if count != before.get(place, 0)
    }
    assert found == {
        ("publish", "ok"): 1,
        ("publish", "forbidden"): 1,
        ("announce", "bad_key"): 1,
        ("batch", "ok"): 1,
    }


def test_batch_of_which_some_failed_is_counted_as_partial(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its status is 200 all the same."""
    before = counters.requests["batch", "partial"]
    publish_one = api_views._publish

    async def publish(key: ApiKey, item: ApiPublication) -> dict[str, object]:
        if item.room == "b":
            raise ApiError("unavailable", "Redis did not answer.")
        return await publish_one(key, item)

    monkeypatch.setattr(api_views, "_publish", publish)
    items = [{"room": "a", "data": 1}, {"room": "b", "data": 1}]
    assert post("batch", {"items": items}, new_key()).status_code == 200
    assert counters.requests["batch", "partial"] == before + 1
