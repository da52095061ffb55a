"""What single clients say on the wire in groups, and no other client here does."""

from __future__ import annotations

import pytest
from confluent_kafka.admin import AdminClient, NewTopic
from wire_client import WireClient

from odradek import Cluster
from protocol.k03_metadata import MetadataRequest, MetadataRequestTopic

pytestmark = pytest.mark.compat


def test_topics_asked_for_by_id_may_have_an_empty_name(cluster: Cluster, topic: str) -> None:
    """So asks Java for the topics that the coordinator found for its SubscriptionPattern."""
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap, "log_level": 2})
    admin.create_topics([NewTopic(topic, 2, 3)])[topic].result(30)
    with WireClient(cluster.bootstrap.split(",")[0]) as client:
        (by_name,) = client.ask(MetadataRequest(topics=[MetadataRequestTopic(name=topic)]), 13).topics
        wanted = MetadataRequestTopic(name="", topic_id=by_name.topic_id)
        (by_id,) = client.ask(MetadataRequest(topics=[wanted]), 13).topics
    assert (by_id.error_code, by_id.name, len(by_id.partitions)) == (0, topic, 2)
