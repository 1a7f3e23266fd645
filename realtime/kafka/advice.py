"""What the brokers may raise, and what somebody has to do about it."""

from __future__ import annotations

import ssl

from aiokafka import errors

FAILURES = (OSError, errors.KafkaError)  # what asking the brokers may raise

_CREDENTIALS = "see KAFKA_SASL_MECHANISM, KAFKA_USERNAME and KAFKA_PASSWORD."
# What a failure that waiting does not mend asks of somebody.
_ADVICE: dict[type[Exception], str] = {
    errors.UnsupportedCodecError: "pip install 'shardlayer[kafka]'.",
    errors.AuthenticationFailedError: _CREDENTIALS,
    errors.AuthenticationMethodNotSupported: _CREDENTIALS,
    errors.SaslAuthenticationFailed: _CREDENTIALS,
    errors.UnsupportedSaslMechanismError: _CREDENTIALS,
    errors.IllegalSaslStateError: _CREDENTIALS,
    ssl.SSLCertVerificationError: "see KAFKA_CA_FILE, and the name in the broker's certificate.",
    errors.TopicAuthorizationFailedError: "allow the pool's user READ and DESCRIBE on the topics, "
    "and CREATE and WRITE on those of dead letters.",
    errors.GroupAuthorizationFailedError: "allow the pool's user READ on the consumer group.",
    errors.ClusterAuthorizationFailedError: "allow the pool's user what docs/kafka.md lists.",
    errors.InvalidTopicError: "a topic, or that of its dead letters, has a name that can't be.",
    errors.InvalidGroupIdError: "name another consumer group.",
    errors.InvalidSessionTimeoutError: "set a session_timeout_ms in KAFKA_CONSUMER_OPTIONS that "
    "the broker allows (group.min.session.timeout.ms).",
    errors.InconsistentGroupProtocolError: "other members of the consumer group share partitions "
    "in another way; name a group of the pool's own.",
    errors.RecordTooLargeError: "raise max_partition_fetch_bytes in KAFKA_CONSUMER_OPTIONS.",
    errors.IncompatibleBrokerVersion: "the broker is too old for this aiokafka, or too new.",
    errors.MessageSizeTooLargeError: "let the topic of dead letters take more (max.message.bytes).",
    errors.PolicyViolationError: "the broker's policy forbids the topic of dead letters.",
    errors.TransactionalIdAuthorizationFailed: "allow the user WRITE on the transactional id of "
    "replays, which is the group's name and the suffix of dead letters.",
    errors.ProducerFenced: "another replay has begun, and goes on with what is left.",
}


def advice_on(error: BaseException) -> str:
    """Return what somebody has to do about a failure that waiting does not mend; else ""."""
    return next((advice for kind, advice in _ADVICE.items() if isinstance(error, kind)), "")


def reason_of(error: BaseException) -> str:
    """Return why Kafka could not be used, in few words."""
    return str(error) or type(error).__name__


def told(error: BaseException) -> str:
    """Return a failure for people: why, and what to do about it if anything is."""
    advice = advice_on(error)
    return f"{reason_of(error)}. To do: {advice}" if advice else reason_of(error)
