"""The producer's configs, one row each, and what they demand of each other."""

from __future__ import annotations

from typing import Final

from clients.configs import ClientConfig, Given, client_keys
from model.config_key import Row
from model.errors import ConfigError

# fmt: off
PRODUCER_ROWS: Final[tuple[Row, ...]] = (
    ("acks", "string", "all", "all|-1|0|1", "acts",
     "When a record counts as delivered: on all in-sync replicas, on the leader, or when sent."),
    ("batch.size", "int", "262144", "0..", "acts",
     "A batch is sent when it has this many bytes. (Java: 16384. Nothing is allocated ahead, so large ones cost "
     "nothing.)"),
    ("linger.ms", "long", "5", "0..", "acts", "How long a batch waits for more records."),
    ("buffer.memory", "long", "33554432", "1..", "acts", "Bytes that may wait to be sent; then `send` blocks."),
    ("max.block.ms", "long", "60000", "0..", "acts",
     "How long `send` blocks for memory or metadata before it raises; 0: it raises at once."),
    ("max.request.size", "int", "1048576", "1..", "acts", "Largest request, and largest record."),
    ("max.in.flight.requests.per.connection", "int", "5", "1..", "acts",
     "Requests that may wait for their answer, per broker."),
    ("compression.type", "string", "none", "none|gzip|snappy|lz4|zstd", "acts", "How batches are compressed."),
    ("delivery.timeout.ms", "int", "120000", "1..", "acts",
     "A record that is not acknowledged after this time has failed."),
    ("retries", "int", "2147483647", "0..", "acts",
     "How often a batch is sent again; `delivery.timeout.ms` is the better limit."),
    ("enable.idempotence", "boolean", "true", "", "acts",
     "Retries never write a record twice. Off by itself when acks isn't all."),
    ("transactional.id", "string", "", "", "acts",
     "The producer's name for transactions; a second producer of that name fences the first."),
    ("transaction.timeout.ms", "int", "60000", "1..", "acts",
     "The broker aborts a transaction that is open for longer."),
    ("partitioner", "string", "murmur2_random", "murmur2_random|sticky|round_robin|random", "acts",
     "Which partition a record without one goes to: a name, or your function."),
)
# fmt: on
PRODUCER_KEYS: Final = client_keys(PRODUCER_ROWS)
PRODUCER_OBJECTS: Final = frozenset({"key.serializer", "value.serializer", "partitioner", "interceptors"})
_MOST_IN_FLIGHT: Final = 5  # the broker remembers as many batches of a producer


def producer_config(given: Given | None, keywords: Given) -> ClientConfig:
    """Raises ConfigError for values that contradict each other."""
    config = ClientConfig(PRODUCER_KEYS, PRODUCER_OBJECTS, given, keywords)
    is_named = "enable.idempotence" in config.given
    if config.get_str("transactional.id"):
        if is_named and not config.get_bool("enable.idempotence"):
            raise ConfigError("transactional.id needs enable.idempotence=true")
        is_named = True
    if config.get_str("acks") not in ("all", "-1") and config.get_bool("enable.idempotence"):
        if is_named:
            raise ConfigError(f"acks={config.get_str('acks')}: idempotence and transactions need acks=all")
        config.override("enable.idempotence", False)
    if (
        config.get_bool("enable.idempotence")
        and config.get_int("max.in.flight.requests.per.connection") > _MOST_IN_FLIGHT
    ):
        if is_named:
            raise ConfigError(f"max.in.flight.requests.per.connection: idempotence allows {_MOST_IN_FLIGHT} at most")
        config.override("enable.idempotence", False)
    least = config.get_int("linger.ms") + config.get_int("request.timeout.ms")
    if config.get_int("delivery.timeout.ms") < least:
        if "delivery.timeout.ms" in config.given and "request.timeout.ms" in config.given:
            raise ConfigError(f"delivery.timeout.ms must be at least linger.ms + request.timeout.ms = {least}")
        config.override(
            "request.timeout.ms", max(1, config.get_int("delivery.timeout.ms") - config.get_int("linger.ms"))
        )
    codec = config.get_str("compression.type")
    if codec in ("snappy", "lz4", "zstd"):
        try:
            import cramjam  # noqa: F401
        except ImportError:
            raise ConfigError(f"compression.type={codec} needs a package: pip install cramjam") from None
    return config
