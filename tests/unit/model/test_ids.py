from __future__ import annotations

import pytest

from model.ids import (
    NO_TOPIC_ID,
    TopicPartition,
    new_topic_id,
    topic_id_from_str,
    topic_id_to_str,
    topic_partition_from_str,
)


def test_no_topic_id_reads_as_kafkas_zero_uuid() -> None:
    assert topic_id_to_str(NO_TOPIC_ID) == "AAAAAAAAAAAAAAAAAAAAAA"


def test_a_topic_id_survives_its_text() -> None:
    for topic_id in (new_topic_id() for _ in range(200)):
        text = topic_id_to_str(topic_id)
        assert len(text) == 22
        assert text[0] != "-"
        assert topic_id_from_str(text) == topic_id


@pytest.mark.parametrize("text", ["", "abc", "A" * 21, "A" * 23, "*" * 22, "é" * 22])
def test_text_that_is_no_topic_id_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a topic id"):
        topic_id_from_str(text)


def test_a_partition_reads_as_its_directory() -> None:
    assert str(TopicPartition("my-topic", 7)) == "my-topic-7"
    assert topic_partition_from_str("my-topic-7") == TopicPartition("my-topic", 7)


@pytest.mark.parametrize("text", ["", "topic", "-1", "topic-", "topic-x", "topic-²"])
def test_a_directory_of_another_kind_is_no_partition(text: str) -> None:
    with pytest.raises(ValueError, match="not a topic and partition"):
        topic_partition_from_str(text)
