"""Kafka Streams for Python: the DSL, the Processor API, state stores, a test driver without brokers, and the app."""

import importlib
from typing import TYPE_CHECKING, Any

from streams.config import (
    ExceptionHandlerResponse,
    StreamsConfig,
    fail_on_invalid_timestamp,
    log_and_continue,
    log_and_fail,
    log_and_skip_on_invalid_timestamp,
    use_partition_time_on_invalid_timestamp,
)
from streams.dsl.builder import StreamsBuilder
from streams.dsl.stream import KStream
from streams.dsl.suppressed import BufferConfig, Suppressed
from streams.dsl.table import GlobalKTable, KTable
from streams.engine.processor_context import ProcessorContext
from streams.engine.punctuation import PunctuationType
from streams.errors import MissingTopic, SerdeError, StateStoreError, StreamsError, TaskFailed, TopologyError
from streams.processor import FixedKeyProcessor, Processor
from streams.records import ConsumedRecord, FixedKeyRecord, Record, RecordMetadata
from streams.serdes import BOOLEAN, BYTES, DOUBLE, FLOAT, INT, LONG, SHORT, STRING, UUID, JsonSerde, Serde
from streams.stores.builder import Stores
from streams.test_driver import TopologyTestDriver
from streams.topology import Topology
from streams.windowed_keys import SessionWindowedSerde, TimeWindowedSerde, Window, Windowed
from streams.windows import EmitStrategy, JoinWindows, SessionWindows, SlidingWindows, TimeWindows, UnlimitedWindows

if TYPE_CHECKING:
    from streams.live.app import Streams
    from streams.serdes_avro import AvroSerde
    from streams.serdes_protobuf import ProtobufSerde

__all__ = [
    "BOOLEAN",
    "BYTES",
    "DOUBLE",
    "FLOAT",
    "INT",
    "LONG",
    "SHORT",
    "STRING",
    "UUID",
    "AvroSerde",
    "BufferConfig",
    "ConsumedRecord",
    "EmitStrategy",
    "ExceptionHandlerResponse",
    "FixedKeyProcessor",
    "FixedKeyRecord",
    "GlobalKTable",
    "JoinWindows",
    "JsonSerde",
    "KStream",
    "KTable",
    "MissingTopic",
    "Processor",
    "ProcessorContext",
    "ProtobufSerde",
    "PunctuationType",
    "Record",
    "RecordMetadata",
    "Serde",
    "SerdeError",
    "SessionWindowedSerde",
    "SessionWindows",
    "SlidingWindows",
    "StateStoreError",
    "Stores",
    "Streams",
    "StreamsBuilder",
    "StreamsConfig",
    "StreamsError",
    "Suppressed",
    "TaskFailed",
    "TimeWindowedSerde",
    "TimeWindows",
    "Topology",
    "TopologyError",
    "TopologyTestDriver",
    "UnlimitedWindows",
    "Window",
    "Windowed",
    "fail_on_invalid_timestamp",
    "log_and_continue",
    "log_and_fail",
    "log_and_skip_on_invalid_timestamp",
    "use_partition_time_on_invalid_timestamp",
]


_LAZY = {"Streams": "live.app", "AvroSerde": "serdes_avro", "ProtobufSerde": "serdes_protobuf"}


def __getattr__(name: str) -> Any:
    """What brings other packages along, which not everybody has a use for: imported when asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_LAZY[name]}"), name)
