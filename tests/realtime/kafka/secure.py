"""An Apache Kafka that asks for TLS and a password."""

from __future__ import annotations

from pathlib import Path

from demo.embedded import free_port
from tests.apache_kafka import ApacheKafka
from tests.apache_kafka.broker import SETTINGS
from tests.contract.places import make_certificate

USER = "site"
PASSWORD = "lizard-in-the-log"

ADDED = """
listener.name.secure.ssl.keystore.type=PEM
listener.name.secure.ssl.keystore.location={keystore}
listener.name.secure.sasl.enabled.mechanisms=PLAIN
listener.name.secure.plain.sasl.jaas.config=\
org.apache.kafka.common.security.plain.PlainLoginModule required user_{user}="{password}";
inter.broker.listener.name=PLAINTEXT
"""


class SecureKafka(ApacheKafka):
    """A broker with a second listener, for TLS and SASL.

    Attributes:
        ca_file: The certificate that its clients have to trust.
        secure_servers: The second listener's address.
    """

    def __init__(self, *, directory: Path) -> None:
        super().__init__(directory=directory)
        self._secure_port = free_port()
        self.secure_servers = f"127.0.0.1:{self._secure_port}"
        self.ca_file, key = make_certificate(directory)
        self._keystore = directory / "keystore.pem"
        self._keystore.write_bytes(key.read_bytes() + self.ca_file.read_bytes())

    def prepare(self) -> None:
        """Add the listener to the settings of any broker of the tests."""
        super().prepare()
        settings = self.directory / SETTINGS
        lines = []
        for line in settings.read_text().splitlines():
            key = line.partition("=")[0]
            if key in ("listeners", "advertised.listeners"):
                line += f",SECURE://{self.secure_servers}"
            elif key == "listener.security.protocol.map":
                line += ",SECURE:SASL_SSL"
            lines.append(line)
        added = ADDED.format(keystore=self._keystore, user=USER, password=PASSWORD)
        settings.write_text("\n".join(lines) + added)
