"""What the settings say about TLS and SASL, as arguments of aiokafka's clients."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from realtime.conf import Conf
from realtime.kafka.source import Brokers, ConfigurationError, check_arguments


def brokers_of(settings: Conf, servers: Sequence[str] | None = None) -> Brokers:
    """Return how to reach Kafka, as the settings say.

    Args:
        settings: Those of realtime.
        servers: Addresses instead of those of the settings.

    Raises:
        ConfigurationError: An address, a certificate or an argument in KAFKA_OPTIONS can't be.
    """
    try:
        brokers = Brokers(
            servers=settings.kafka_bootstrap_servers if servers is None else servers,
            options=client_options(settings),
        )
    except ValueError as error:
        raise ConfigurationError(str(error)) from error
    except OSError as error:  # ssl's are, too
        raise ConfigurationError(f"A certificate for Kafka can't be read: {error}") from error
    for client in (AIOKafkaProducer, AIOKafkaAdminClient):
        check_arguments(client, brokers.arguments(), "KAFKA_OPTIONS")
    return brokers


def client_options(settings: Conf) -> dict[str, Any]:
    """Return the arguments that reach Kafka as the settings say; KAFKA_OPTIONS has the last word.

    Raises:
        OSError: A certificate can't be read.
    """
    protocol = "SASL_" if settings.kafka_sasl_mechanism else ""
    options: dict[str, Any] = {
        "security_protocol": protocol + ("SSL" if settings.kafka_tls else "PLAINTEXT")
    }
    if settings.kafka_tls:
        options["ssl_context"] = _tls(settings)
    if settings.kafka_sasl_mechanism:
        options |= {
            "sasl_mechanism": settings.kafka_sasl_mechanism,
            "sasl_plain_username": settings.kafka_username,
            "sasl_plain_password": settings.kafka_password,
        }
    return options | dict(settings.kafka_options)


def _tls(settings: Conf) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=settings.kafka_ca_file)
    if settings.kafka_client_certificate:
        context.load_cert_chain(settings.kafka_client_certificate)
    return context
