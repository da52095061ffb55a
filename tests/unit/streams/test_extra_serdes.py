"""Avro and Protobuf: bytes that other libraries read, errors that handlers hear of, copies that survive cloudpickle."""

from __future__ import annotations

import io
from typing import Any

import cloudpickle
import pytest

from streams import STRING, AvroSerde, ProtobufSerde, SerdeError, StreamsBuilder, TopologyTestDriver

FLIGHT = {
    "type": "record",
    "name": "Flight",
    "fields": [{"name": "carrier", "type": "string"}, {"name": "delay", "type": ["null", "int"], "default": None}],
}
NEWER = {**FLIGHT, "fields": [*FLIGHT["fields"], {"name": "origin", "type": "string", "default": "?"}]}  # type: ignore[misc]


def test_avro_is_what_fastavro_reads() -> None:
    fastavro = pytest.importorskip("fastavro")
    data = AvroSerde(FLIGHT).encode({"carrier": "UA", "delay": 11})
    assert fastavro.schemaless_reader(io.BytesIO(data), fastavro.parse_schema(FLIGHT)) == {"carrier": "UA", "delay": 11}
    assert data == b"\x04UA\x02\x16"


def test_an_older_value_is_read_by_a_newer_schema() -> None:
    pytest.importorskip("fastavro")
    data = AvroSerde(FLIGHT).encode({"carrier": "UA"})
    newer = AvroSerde(FLIGHT, reader_schema=NEWER)
    assert newer.decode(data) == {"carrier": "UA", "delay": None, "origin": "?"}


def test_a_schema_id_stands_in_front_and_an_unknown_one_is_refused() -> None:
    pytest.importorskip("fastavro")
    ours, theirs = AvroSerde('"string"', schema_id=7), AvroSerde('"string"', schema_id=9)
    assert ours.encode("x") == b"\0\0\0\0\x07\x02x"
    with pytest.raises(SerdeError, match="schema 9"):
        ours.decode(theirs.encode("x"))
    assert AvroSerde('"string"', schema_id=7, schemas={9: '"string"'}).decode(theirs.encode("x")) == "x"
    with pytest.raises(SerdeError, match="begin"):
        ours.decode(b"\x02x")


def test_a_value_that_does_not_fit_goes_to_the_handler() -> None:
    pytest.importorskip("fastavro")
    read = AvroSerde(FLIGHT).deserializer("t")
    for data in (b"", b"\x04U", b"\x02U\x00more"):
        with pytest.raises(SerdeError):
            read(data)


def a_message_class() -> Any:
    pytest.importorskip("google.protobuf")
    from google.protobuf.wrappers_pb2 import StringValue

    return StringValue


def test_protobuf_is_the_message_itself() -> None:
    message = a_message_class()
    serde = ProtobufSerde(message)
    assert serde.encode(message(value="x")) == message(value="x").SerializeToString()
    assert serde.decode(serde.encode(message(value="x"))) == message(value="x")
    with_id = ProtobufSerde(message, schema_id=3)
    assert with_id.encode(message(value="x"))[:6] == b"\0\0\0\0\x03\0"
    with pytest.raises(SerdeError):
        with_id.deserializer("t")(serde.encode(message(value="x")))
    with pytest.raises(SerdeError):
        serde.serializer("t")("no message")
    with pytest.raises(SerdeError, match="no generated message"):
        ProtobufSerde(str)


def test_both_survive_the_way_to_a_worker() -> None:
    pytest.importorskip("fastavro")
    for serde in (AvroSerde(FLIGHT, schema_id=4), ProtobufSerde(a_message_class())):
        assert cloudpickle.loads(cloudpickle.dumps(serde)) == serde


def test_a_topology_counts_avro_records() -> None:
    pytest.importorskip("fastavro")
    builder = StreamsBuilder()
    flights = builder.stream("flights", key=STRING, value=AvroSerde(FLIGHT))
    delays = flights.map_values(lambda f: {**f, "delay": (f["delay"] or 0) + 1})
    delays.to("late", key=STRING, value=AvroSerde(FLIGHT))
    with TopologyTestDriver(builder.build()) as driver:
        topic = driver.create_input_topic("flights", key=STRING, value=AvroSerde(FLIGHT))
        topic.pipe("k", {"carrier": "B6", "delay": 1})
        late = driver.create_output_topic("late", key=STRING, value=AvroSerde(FLIGHT))
        assert late.read_key_values() == [("k", {"carrier": "B6", "delay": 2})]
