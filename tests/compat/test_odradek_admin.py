"""Our admin client: topics, configs and groups."""

from __future__ import annotations

import pytest
from own_clients import REPLICAS, a_consumer, admin, group, made, places, where

from model.coordinator_errors import NonEmptyGroup
from model.errors import TopicAlreadyExists, UnknownTopicOrPartition
from odradek import Admin, NewTopic, TopicPartition, wait_until

__all__ = ["admin", "group", "made", "where"]

pytestmark = pytest.mark.compat


def test_topics_and_configs(where: str, admin: Admin, topic: str) -> None:
    admin.create_topics([NewTopic(topic, 2, REPLICAS, configs={"retention.ms": "3600000"})])
    with pytest.raises(TopicAlreadyExists):
        admin.create_topics([topic])
    assert topic in admin.list_topics()
    described = admin.describe_topics([topic])[topic]
    assert len(described.partitions) == 2 and len(described.partitions[0].replicas) == REPLICAS
    assert admin.describe_topic_configs(topic)["retention.ms"].value == "3600000"
    admin.alter_topic_configs(topic, {"retention.ms": None, "cleanup.policy": "compact"})
    configs = admin.describe_topic_configs(topic)
    assert configs["retention.ms"].is_default and configs["cleanup.policy"].value == "compact"
    admin.create_partitions({topic: 5})
    wait_until(lambda: len(admin.describe_topics([topic])[topic].partitions) == 5)
    assert any(row.partition.topic == topic for row in admin.describe_log_dirs())
    admin.elect_leaders([TopicPartition(topic, 0)])
    admin.delete_topics([topic])
    wait_until(lambda: topic not in admin.list_topics())
    with pytest.raises(UnknownTopicOrPartition):
        admin.delete_topics([topic])


@pytest.mark.parametrize("protocol", ["classic", "consumer"])
def test_groups_as_an_admin_sees_them(where: str, admin: Admin, made: str, group: str, protocol: str) -> None:
    assert admin.describe_group(group).state == "Dead"
    with a_consumer(where, group_id=group, client_id="watched", group_protocol=protocol) as consumer:
        consumer.subscribe([made])
        wait_until(lambda: (consumer.poll(50), consumer.assignment())[1])
        wait_until(lambda: (consumer.poll(50), admin.describe_group(group).state == "Stable")[1])
        described = admin.describe_group(group)
        assert (described.kind, described.members[0].client_id) == (protocol, "watched")
        assert set(described.members[0].assignment) == set(places(made))
        with pytest.raises(NonEmptyGroup):
            admin.delete_groups([group])
    admin.alter_group_offsets(group, {places(made)[0]: 5})
    assert admin.list_group_offsets(group)[places(made)[0]].offset == 5
    admin.delete_group_offsets(group, [places(made)[0]])
    assert places(made)[0] not in admin.list_group_offsets(group)
    assert group in [row.group for row in admin.list_groups()]
    admin.delete_groups([group])
    assert group not in [row.group for row in admin.list_groups()]
