"""Every API, every version, requests and responses: our bytes are those of kafka-python and kio."""

from __future__ import annotations

import pytest
from random_messages import RandomMessages
from wire_oracles import kafka_python_bytes, kafka_python_class, kio_class, kio_rewritten

from protocol.api_keys import API_KEYS
from protocol.codec import Message

ROUNDS = 4

MESSAGES = [cls for row in API_KEYS.values() for cls in (row.request, row.response)]
VERSIONS = [pytest.param(cls, version, id=f"{cls.__name__}-v{version}") for cls in MESSAGES for version in cls.versions]


@pytest.mark.parametrize(("cls", "version"), VERSIONS)
def test_what_we_encode_we_decode(cls: type[Message], version: int) -> None:
    for round_number in range(ROUNDS):
        message = RandomMessages(f"{cls.__name__} {version} {round_number}").message(cls, version)
        encoded = message.encode(version)
        decoded = cls.decode(encoded, version)
        assert decoded == message
        assert b"".join(decoded.encode_chunks(version)) == encoded


@pytest.mark.parametrize(("cls", "version"), VERSIONS)
def test_kafka_python_writes_the_same_bytes(cls: type[Message], version: int) -> None:
    if kafka_python_class(cls, version) is None:
        pytest.skip("not in kafka-python")
    for round_number in range(ROUNDS):
        message = RandomMessages(f"{cls.__name__} {version} {round_number}").message(cls, version)
        assert message.encode(version) == kafka_python_bytes(message, version)


@pytest.mark.parametrize(("cls", "version"), VERSIONS)
def test_kio_reads_our_bytes_and_writes_the_same(cls: type[Message], version: int) -> None:
    theirs = kio_class(cls, version)
    if theirs is None:
        pytest.skip("not in kio")
    for round_number in range(ROUNDS):
        message = RandomMessages(f"{cls.__name__} {version} {round_number}", modest=True).message(cls, version)
        encoded = message.encode(version)
        assert kio_rewritten(theirs, encoded) == encoded
