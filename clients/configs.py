"""A client's configs: Kafka's names, Java's defaults, checked when the client is made.

A client takes them as a mapping with Kafka's names, as keyword arguments with underscores, or both:

    Producer({"bootstrap.servers": "localhost:9092"}, linger_ms=20)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from model.config_key import ConfigKey, ConfigValue, Row, keys_of
from model.errors import ConfigError

Given = Mapping[str, object]

# fmt: off
COMMON_ROWS: tuple[Row, ...] = (
    ("bootstrap.servers", "list", None, "", "acts",
     "Where to begin: host:port, tcp://host:port or zmq://…, separated by commas."),
    ("client.id", "string", "odradek", "", "acts", "The name brokers log."),
    ("client.rack", "string", "", "", "acts",
     "Where this client stands; brokers may let it fetch from a near replica."),
    ("request.timeout.ms", "int", "30000", "1..", "acts", "An answer that takes longer ends the connection."),
    ("retry.backoff.ms", "long", "100", "0..", "acts", "First pause before a request is repeated; doubles each time."),
    ("retry.backoff.max.ms", "long", "1000", "0..", "acts", "Longest such pause."),
    ("reconnect.backoff.ms", "long", "50", "0..", "acts", "First pause before a broker is connected to again."),
    ("reconnect.backoff.max.ms", "long", "1000", "0..", "acts", "Longest such pause."),
    ("socket.connection.setup.timeout.ms", "long", "10000", "1..", "acts",
     "Longest time a connection may take to be made."),
    ("metadata.max.age.ms", "long", "300000", "1..", "acts",
     "Metadata is asked for anew after this time at the latest."),
    ("send.buffer.bytes", "int", "-1", "-1..", "acts", "The socket's SO_SNDBUF; -1 leaves it to the kernel."),
    ("receive.buffer.bytes", "int", "-1", "-1..", "acts", "The socket's SO_RCVBUF; -1 leaves it to the kernel."),
    ("default.api.timeout.ms", "int", "60000", "1..", "acts",
     "How long calls without a timeout of their own may take."),
    ("security.protocol", "string", "PLAINTEXT", "PLAINTEXT|SSL|SASL_PLAINTEXT|SASL_SSL", "acts",
     "How the connection is protected."),
    ("sasl.mechanism", "string", "PLAIN", "PLAIN|SCRAM-SHA-256|SCRAM-SHA-512", "acts",
     "How the client says who it is."),
    ("sasl.username", "string", "", "", "acts", "Who the client is."),
    ("sasl.password", "password", "", "", "acts", "And the proof of it."),
    ("ssl.ca.location", "string", "", "", "acts", "A file of trusted certificates (PEM); empty: the system's."),
    ("ssl.certificate.location", "string", "", "", "acts", "The client's own certificate (PEM)."),
    ("ssl.key.location", "string", "", "", "acts", "Its key (PEM)."),
    ("ssl.endpoint.identification.algorithm", "string", "https", "https|none|", "acts",
     "none: don't compare the host's name."),
    ("zmq.curve.server.key", "string", "", "", "acts",
     "The public key of zmq:// gateways that encrypt (CURVE), 40 characters of Z85."),
    ("zmq.curve.secret.key", "password", "", "", "acts",
     "The client's own secret key, where gateways know their clients; else a new one for each connection."),
)
# fmt: on


class ClientConfig:
    """The checked configs of one client.

    `objects` are names whose values are Python objects (serializers, callbacks); None is their default.
    Raises ConfigError, one line, with the nearest name for one that is unknown.
    """

    def __init__(
        self, keys: Mapping[str, ConfigKey], objects: frozenset[str], given: Given | None, keywords: Given
    ) -> None:
        self._values: dict[str, ConfigValue | None] = {}
        self._objects: dict[str, Any] = dict.fromkeys(objects)
        self.given: set[str] = set()
        for name, value in _named(given or {}, keywords):
            if value is None:
                continue
            if name in objects and not (name in keys and isinstance(value, str)):
                self._objects[name] = value
            elif name in keys:
                self._values[name] = _parse(keys[name], value)
            else:
                raise ConfigError(_unknown(name, [*keys, *objects]))
            self.given.add(name)
        for name, key in keys.items():
            if name not in self._values:
                self._values[name] = None if key.default is None else key.parse(key.default)
        if not self._values.get("bootstrap.servers"):
            raise ConfigError("bootstrap.servers is missing: say where the cluster is, e.g. localhost:9092")

    def get_int(self, name: str) -> int:
        value = self._values[name]
        assert isinstance(value, int), name
        return value

    def seconds(self, name: str) -> float:
        """A config in milliseconds, as asyncio wants it."""
        return self.get_int(name) / 1000

    def get_str(self, name: str) -> str:
        value = self._values[name]
        assert isinstance(value, str), name
        return value

    def get_bool(self, name: str) -> bool:
        value = self._values[name]
        assert isinstance(value, bool), name
        return value

    def get_list(self, name: str) -> tuple[str, ...]:
        value = self._values[name]
        assert isinstance(value, tuple), name
        return value

    def get_object(self, name: str) -> Any:
        return self._objects[name]

    def override(self, name: str, value: ConfigValue) -> None:
        """For defaults that depend on other configs."""
        self._values[name] = value


def client_keys(*rows: tuple[Row, ...]) -> dict[str, ConfigKey]:
    """The rows as keys, with those that all clients share."""
    return keys_of([row for group in (COMMON_ROWS, *rows) for row in group], {})


def _named(given: Given, keywords: Given) -> list[tuple[str, object]]:
    return [*given.items(), *((name.replace("_", "."), value) for name, value in keywords.items())]


def _parse(key: ConfigKey, value: object) -> ConfigValue:
    if isinstance(value, bool):
        text = str(value).lower()
    elif isinstance(value, (list, tuple)):
        text = ",".join(str(entry) for entry in value)
    else:
        text = str(value)
    try:
        return key.parse(text)
    except ValueError as error:
        raise ConfigError(f"{key.name}={text}: {error}") from None


def _unknown(name: str, known: list[str]) -> str:
    import difflib

    near = difflib.get_close_matches(name, known, 1)
    guess = f", did you mean {near[0]}?" if near else ";"
    return f"unknown config {name}{guess} docs/client_configs.md lists them all"


Serializer = Callable[[Any], bytes | None]
Deserializer = Callable[[bytes], Any]
