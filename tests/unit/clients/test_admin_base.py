"""Which error an admin's call raises, and in which words."""

import pytest

from clients.admin_base import raise_first
from model.errors import KafkaError, UnknownTopicOrPartition


def test_what_is_no_error_raises_nothing():
    raise_first([(0, None, "orders"), (0, "fine", "")])


@pytest.mark.parametrize(
    ("message", "about", "words"),
    [
        ("no such thing", "orders", "UNKNOWN_TOPIC_OR_PARTITION: orders: no such thing"),
        (None, "orders", "UNKNOWN_TOPIC_OR_PARTITION: orders"),
        ("no such thing", "", "UNKNOWN_TOPIC_OR_PARTITION: no such thing"),
    ],
)
def test_the_first_error_says_what_it_is_about(message, about, words):
    with pytest.raises(UnknownTopicOrPartition) as raised:
        raise_first([(0, None, "fine"), (3, message, about), (7, None, "later")])
    assert str(raised.value) == words


def test_an_error_about_nothing_in_particular_has_its_name():
    with pytest.raises(KafkaError) as raised:
        raise_first([(3, None, "")])
    assert str(raised.value).startswith("UNKNOWN_TOPIC_OR_PARTITION")
