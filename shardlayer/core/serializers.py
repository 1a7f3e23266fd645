"""Channels messages as bytes, encrypted if keys are given.

A message is encoded once, however many receivers it has, and decoded by each, so that each has its
own copy. The formats are those of channels_redis: `msgpack`, which knows bytes, and `json`, which
does not.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgpack

from shardlayer.core.exceptions import ConfigurationError, UndecodableMessage

Message = dict[str, Any]


def _pack(message: Message) -> bytes:
    packed: bytes = msgpack.packb(message, use_bin_type=True)
    return packed


def _unpack(data: bytes) -> Any:
    return msgpack.unpackb(data, strict_map_key=False)


def _dump(message: Message) -> bytes:
    return json.dumps(message, separators=(",", ":")).encode()


FORMATS: Final[Mapping[str, tuple[Callable[[Message], bytes], Callable[[bytes], Any]]]] = {
    "msgpack": (_pack, _unpack),
    "json": (_dump, json.loads),
}

MAX_GROWTH = 3  # times what JSON takes: escapes in JSON; numbers in msgpack take 2.25 times as much

_REFUSED = (TypeError, ValueError, OverflowError, RecursionError)
"""What the encoders raise for a message that they can't encode."""


class Serializer:
    """Encodes and decodes messages.

    Args:
        format: A key of `FORMATS`.
        keys: Secrets; the first encrypts, all decrypt, so that keys can be changed while the
            system runs. Without any nothing is encrypted.

    Raises:
        ConfigurationError: If the format is unknown, or keys are given and `cryptography` is not
            installed.
    """

    def __init__(self, format: str = "msgpack", keys: Sequence[str | bytes] = ()) -> None:
        if format not in FORMATS:
            raise ConfigurationError(
                f"serializer_format is {format!r}; the formats are {', '.join(FORMATS)}."
            )
        self._encode, self._decode = FORMATS[format]
        self._cipher = _cipher(keys) if keys else None

    def dumps(self, message: Message) -> bytes:
        """Return a message as bytes, encrypted if there are keys. Raises like `encode`."""
        return self.encrypt(self.encode(message))

    def encrypt(self, data: bytes) -> bytes:
        """Return an encoded message encrypted with the first key; as it is if there is none."""
        if self._cipher is None:
            return data
        token: bytes = self._cipher.encrypt(data)
        return token

    def encode(self, message: Message) -> bytes:
        """Return a message as bytes that anybody can read.

        Raises:
            TypeError: If it is not a dict or holds what can't be encoded, naming the path to it.
        """
        if not isinstance(message, dict):
            raise TypeError(f"A message is a dict, not {type(message).__name__}.")
        try:
            return self._encode(message)
        except _REFUSED as error:
            raise TypeError(f"{self._culprit(message)} can't be sent: {error}.") from error

    def loads(self, data: bytes) -> Message:
        """Return the message that bytes hold.

        Raises:
            UndecodableMessage: If they can't be decrypted with any key, or hold no message.
        """
        try:
            if self._cipher is not None:
                data = self._cipher.decrypt(data)
            message = self._decode(data)
        except Exception as error:  # what decoders raise for garbage is not one family
            raise UndecodableMessage(f"A message can't be decoded: {error!r}.") from error
        if not isinstance(message, dict):
            raise UndecodableMessage(f"A message is not a dict, but {type(message).__name__}.")
        return message

    def _culprit(self, value: Any, path: str = "message", depth: int = 0) -> str:
        """Return the path to the innermost value that can't be encoded."""
        children: list[tuple[str, Any]] = []
        if isinstance(value, dict):
            children = [(f"{path}[{key!r}]", child) for key, child in value.items()]
        elif isinstance(value, (list, tuple)):
            children = [(f"{path}[{index}]", child) for index, child in enumerate(value)]
        for child_path, child in children:
            try:
                self._encode(child)
            except _REFUSED:
                if depth < MAX_PATH:
                    return self._culprit(child, child_path, depth + 1)
                return child_path
        return f"{path} ({type(value).__name__})"


MAX_PATH = 20  # steps into a message that an error names


def _cipher(keys: Sequence[str | bytes]) -> Any:
    """Return what encrypts as channels_redis does: Fernet keys made of the secrets' SHA-256."""
    if isinstance(keys, (str, bytes)):
        raise ConfigurationError(
            "symmetric_encryption_keys is a single key; it takes a list of keys."
        )
    try:
        from cryptography.fernet import Fernet, MultiFernet
    except ImportError as error:
        raise ConfigurationError(
            "symmetric_encryption_keys needs the package `cryptography`: "
            "pip install 'shardlayer[encryption]'."
        ) from error
    fernets = []
    for key in keys:
        secret = key.encode() if isinstance(key, str) else key
        fernets.append(Fernet(base64.urlsafe_b64encode(hashlib.sha256(secret).digest())))
    return MultiFernet(fernets)


def json_size(message: Message) -> int | None:
    """Return the bytes of a message's shortest JSON text, None if it has none."""
    try:
        return len(json.dumps(message, separators=(",", ":"), ensure_ascii=False).encode())
    except _REFUSED:
        return None
