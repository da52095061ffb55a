"""Settings of a streams app that its tasks go by. Names as Kafka Streams', in snake case; unknown ones are errors."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from model.errors import ConfigError
from streams.errors import SerdeError
from streams.records import ConsumedRecord
from streams.serdes import Serde


class ExceptionHandlerResponse:
    """What a handler may answer: go on without the record, or stop the task."""

    CONTINUE = "continue"
    FAIL = "fail"


DeserializationHandler = Callable[[ConsumedRecord, SerdeError], str]


def log_and_fail(_record: ConsumedRecord, _error: Exception) -> str:
    """Stop at the first record that can't be read: the default."""
    return ExceptionHandlerResponse.FAIL


def log_and_continue(_record: ConsumedRecord, _error: Exception) -> str:
    """Drop records that can't be read, and count them."""
    return ExceptionHandlerResponse.CONTINUE


def fail_on_invalid_timestamp(record: ConsumedRecord, _partition_time: int) -> int:
    """The record's own timestamp; a negative one stops the task. The default."""
    if record.timestamp < 0:
        raise SerdeError(f"record {record.topic}-{record.partition}@{record.offset} has no timestamp")
    return record.timestamp


def log_and_skip_on_invalid_timestamp(record: ConsumedRecord, _partition_time: int) -> int:
    """The record's own timestamp; records without one are dropped."""
    return record.timestamp


def use_partition_time_on_invalid_timestamp(record: ConsumedRecord, partition_time: int) -> int:
    """The record's own timestamp, or the latest of its partition."""
    return record.timestamp if record.timestamp >= 0 else partition_time


def with_numbers(kind: type[Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a dataclass, its whole numbers also taken as text, as Java writes them. Raises ConfigError."""
    numbers = {each.name for each in fields(kind) if str(each.type).startswith("int")}
    taken = dict(given)
    for name in numbers.intersection(given):
        value = given[name]
        if isinstance(value, str):
            try:
                taken[name] = int(value)
            except ValueError:
                raise ConfigError(f"{name} is a whole number, not {value!r}") from None
    return taken


@dataclass(frozen=True)
class StreamsConfig:
    """One field per setting; `StreamsConfig.of(mapping)` also takes Kafka's dotted names."""

    application_id: str = "streams-app"
    default_key_serde: Serde[Any] | None = None
    default_value_serde: Serde[Any] | None = None
    default_timestamp_extractor: Callable[[ConsumedRecord, int], int] = fail_on_invalid_timestamp
    deserialization_exception_handler: DeserializationHandler = log_and_fail
    processing_exception_handler: Callable[[Any, Exception], str] = log_and_fail
    production_exception_handler: Callable[[Any, Exception], str] = log_and_fail
    dead_letter_topic: str | None = None
    """Where records go, as they were read, whenever a handler is asked about them."""
    default_store: str = "in_memory"
    max_task_idle_ms: int = 0
    topology_optimization: str = "none"
    emit_interval_ms: int = 1000
    outer_join_emit_interval_ms: int = 1000
    state_dir: Path | None = None

    def __post_init__(self) -> None:
        if self.default_store not in ("in_memory", "rocksdb", "persistent"):
            raise ConfigError(f"default_store is in_memory, rocksdb or persistent, not {self.default_store!r}")

    @property
    def persists_by_default(self) -> bool:
        return self.default_store != "in_memory"

    @classmethod
    def of(cls, settings: Mapping[str, Any] | StreamsConfig | None, **defaults: Any) -> StreamsConfig:
        """Raises ConfigError for an unknown name, with the nearest known one, and for what is no number."""
        if isinstance(settings, StreamsConfig):
            return settings
        known = {field.name for field in fields(cls)}
        chosen = dict(defaults)
        for name, value in (settings or {}).items():
            plain = name.replace(".", "_")
            if plain not in known:
                near = difflib.get_close_matches(plain, known, 1)
                raise ConfigError(f"unknown streams setting {name}" + (f"; did you mean {near[0]}?" if near else ""))
            chosen[plain] = value
        return cls(**with_numbers(cls, chosen))
