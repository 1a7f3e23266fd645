"""The OpenAPI document: valid, and what the answers keep to."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from django.http import HttpResponse
from django.test import Client
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from pytest_django import Settings

from demo.embedded import EmbeddedValkey
from realtime.api import api_keys
from realtime.api.api_errors import STATUS_OF
from realtime.api.openapi import document
from tests.realtime.api.test_api import new_key, post
from tests.realtime.conftest import channel_layers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def served(settings: Settings, redis_server: EmbeddedValkey) -> dict[str, Any]:
    """The document as it is served."""
    settings.ROOT_URLCONF = "tests.realtime.api.test_api"
    settings.CHANNEL_LAYERS = channel_layers(hosts=[redis_server.url])
    api_keys._full_at.clear()
    answer = Client().get("/api/openapi.json")
    assert answer.status_code == 200
    found: dict[str, Any] = orjson.loads(answer.content)
    return found


def test_document_is_valid(served: dict[str, Any]) -> None:
    """A public validator of OpenAPI 3.1 has nothing to say; its address is where it was found."""
    assert served["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(served).iter_errors()) == []
    assert served["servers"] == [{"url": "/api"}]
    assert served == document("/api")


def test_validator_finds_mistakes(served: dict[str, Any]) -> None:
    """The check itself can fail."""
    served["paths"]["/publish"]["post"]["responses"]["200"]["description"] = 7
    assert list(OpenAPIV31SpecValidator(served).iter_errors())


def test_answers_are_what_the_document_says(served: dict[str, Any]) -> None:
    """Of each operation, done and refused; requests that it forbids are refused."""
    key = new_key("a", announces=True)
    publication = {"room": "a", "data": {"n": 1}}
    bodies = {
        "/publish": (publication, {"room": "no room", "data": 1}),
        "/announce": ({"data": 1}, {"text": "no data"}),
        "/batch": ({"items": [publication]}, {"items": []}),
    }
    assert bodies.keys() == served["paths"].keys()
    for where, (right, wrong) in bodies.items():
        operation = served["paths"][where]["post"]
        takes = operation["requestBody"]["content"]["application/json"]["schema"]
        assert validator(served, takes).is_valid(right)
        assert not validator(served, takes).is_valid(wrong)
        for body, sent_key in ((right, key), (wrong, key), (right, "slk_none")):
            answer = post(where[1:], body, sent_key)
            check(served, operation, answer)


def check(served: dict[str, Any], operation: dict[str, Any], answer: HttpResponse) -> None:
    """Fail unless an answer is one of the operation's."""
    response = operation["responses"][str(answer.status_code)]
    schema = response["content"]["application/json"]["schema"]
    validator(served, schema).validate(orjson.loads(answer.content))


def validator(served: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    """Return a validator of a schema that refers to the document's."""
    return Draft202012Validator({**schema, "components": served["components"]})


def test_each_error_has_its_status(served: dict[str, Any]) -> None:
    """Every code that a service may get is in the document, and so is every status but 405's."""
    codes = served["components"]["schemas"]["Error"]["properties"]["code"]["enum"]
    assert codes == sorted(STATUS_OF)
    told = set(served["paths"]["/publish"]["post"]["responses"])
    assert {str(status) for status in STATUS_OF.values()} - told == {"405"}
