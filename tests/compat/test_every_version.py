"""Every key in every version that ApiVersions advertises is answered, and the answer can be read to its last byte.

An answer that sets a field which its version lacks does not encode, and the client finds its connection closed; clients
of one version never see it. So: sensible requests, and well-formed nonsense, in all versions.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest
from random_messages import RandomMessages
from wire_client import WireClient

from actors.api.dispatch import HANDLERS
from actors.api.k03_metadata import CLUSTER_OPERATIONS, NOT_ASKED, TOPIC_OPERATIONS
from model.errors import ErrorCode
from odradek import Cluster, wait_until
from protocol.api_keys import API_KEYS
from protocol.codec import Message
from protocol.k00_produce import PartitionProduceData, ProduceRequest, TopicProduceData
from protocol.k01_fetch import FetchPartition, FetchRequest, FetchTopic
from protocol.k02_list_offsets import ListOffsetsPartition, ListOffsetsRequest, ListOffsetsTopic
from protocol.k03_metadata import MetadataRequest, MetadataRequestTopic
from protocol.k10_find_coordinator import FindCoordinatorRequest
from protocol.k18_api_versions import ApiVersionsRequest
from protocol.k19_create_topics import CreatableTopic, CreateTopicsRequest
from protocol.k43_elect_leaders import ElectLeadersRequest, TopicPartitions
from protocol.k60_describe_cluster import DescribeClusterRequest
from protocol.records import Record, encode_batch

pytestmark = pytest.mark.compat

WAITS_FOR_OTHERS = {11, 14}
"""JoinGroup and SyncGroup are answered when the other members have come."""


def versions_of(key: int) -> range:
    api = API_KEYS[key]
    return range(max(api.min_version, api.request.versions[0]), api.max_version + 1)


EVERY = [pytest.param(key, id=API_KEYS[key].name) for key in HANDLERS]


@pytest.fixture(scope="module", autouse=True)
def coordinators(cluster: Cluster) -> None:
    """Both internal topics are there: until then a request to a coordinator waits for them."""
    with WireClient(cluster.bootstrap.split(",")[0]) as client:
        for key_type in (0, 1):
            request = FindCoordinatorRequest(key_type=key_type, coordinator_keys=["x"])
            wait_until(lambda request=request: client.ask(request, 4).coordinators[0].error_code == ErrorCode.NONE)


@pytest.fixture
def client(cluster: Cluster) -> Iterator[WireClient]:
    with WireClient(cluster.bootstrap.split(",")[0]) as connected:
        yield connected


@pytest.fixture
def led_topic(client: WireClient, topic: str) -> tuple[str, bytes]:
    """A topic whose one partition the connected broker leads; its name and id."""
    row = CreatableTopic(name=topic, num_partitions=1, replication_factor=1)
    for _ in range(20):
        (created,) = client.ask(CreateTopicsRequest(topics=[row]), 7).topics
        assert created.error_code == ErrorCode.NONE
        found = wait_until(lambda: known(client, row.name))
        if found.partitions[0].leader_id == connected_broker(client):
            return row.name, created.topic_id
        row.name += "x"
    pytest.fail("no topic came to lie on the connected broker")


def known(client: WireClient, name: str):
    request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
    (row,) = client.ask(request, 12).topics
    return row if row.error_code == ErrorCode.NONE and row.partitions[0].leader_id >= 0 else None


def connected_broker(client: WireClient) -> int:
    brokers = client.ask(MetadataRequest(topics=[]), 12).brokers
    return next(b.node_id for b in brokers if b.port == client.port)


def a_random_request(key: int, version: int, seed: int) -> Message:
    request = RandomMessages(f"{key}-{version}-{seed}").message(API_KEYS[key].request, version)
    for name in ("timeout_ms", "max_wait_ms", "rebalance_timeout_ms", "session_timeout_ms"):
        if hasattr(request, name):
            setattr(request, name, 50)
    if isinstance(request, ProduceRequest):
        request.acks = request.acks or 1  # 0 is never answered
    return request


@pytest.mark.parametrize("key", [p for p in EVERY if p.values[0] not in WAITS_FOR_OTHERS])
def test_well_formed_nonsense_is_answered_in_every_version(cluster: Cluster, key: int) -> None:
    for broker in cluster.bootstrap.split(",")[:2]:
        for version in versions_of(key):
            for seed in range(12):
                with WireClient(broker) as client:
                    client.ask(a_random_request(key, version, seed), version)


@pytest.mark.parametrize("key", EVERY)
def test_an_empty_request_is_answered_in_every_version(client: WireClient, key: int) -> None:
    for version in versions_of(key):
        if key not in WAITS_FOR_OTHERS:
            client.ask(ProduceRequest(acks=1) if key == 0 else API_KEYS[key].request(), version)


def test_what_is_produced_in_every_version_is_fetched_in_every_version(
    client: WireClient, led_topic: tuple[str, bytes]
) -> None:
    name, topic_id = led_topic
    values = [str(version).encode() for version in versions_of(0)]
    for offset, version in enumerate(versions_of(0)):
        records = encode_batch([Record(0, 1_700_000_000_000, None, values[offset], [])])
        data = TopicProduceData(name=name, topic_id=topic_id, partition_data=[PartitionProduceData(records=records)])
        response = client.ask(ProduceRequest(acks=-1, timeout_ms=5000, topic_data=[data]), version)
        (row,) = response.responses[0].partition_responses
        assert (row.error_code, row.base_offset) == (ErrorCode.NONE, offset)
    for version in versions_of(1):
        wanted = FetchPartition(partition_max_bytes=1 << 20)
        request = FetchRequest(
            max_wait_ms=0, min_bytes=1, topics=[FetchTopic(topic=name, topic_id=topic_id, partitions=[wanted])]
        )
        (row,) = client.ask(request, version).responses[0].partitions
        assert row.high_watermark == len(values)
        assert all(value in bytes(row.records) for value in values)
    for version in versions_of(2):
        for timestamp, offset in ((-1, len(values)), (-2, 0), (1_700_000_000_000, 0), (1_800_000_000_000, -1)):
            wanted = ListOffsetsPartition(timestamp=timestamp)
            request = ListOffsetsRequest(replica_id=-1, topics=[ListOffsetsTopic(name=name, partitions=[wanted])])
            assert client.ask(request, version).topics[0].partitions[0].offset == offset


def test_a_field_that_old_fetches_lack_stays_unset_on_errors_too(client: WireClient) -> None:
    for version in versions_of(1):
        topic = FetchTopic(topic="no-such-topic", topic_id=b"\x01" * 16, partitions=[FetchPartition()])
        (row,) = client.ask(FetchRequest(topics=[topic]), version).responses[0].partitions
        by_id = version >= 13
        assert row.error_code == (ErrorCode.UNKNOWN_TOPIC_ID if by_id else ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)


def test_elections_are_answered_in_every_version(client: WireClient, led_topic: tuple[str, bytes]) -> None:
    for version in versions_of(43):
        wanted = [TopicPartitions(topic=led_topic[0], partitions=[0])]
        (row,) = client.ask(ElectLeadersRequest(topic_partitions=wanted), version).replica_election_results
        assert row.partition_result[0].error_code == ErrorCode.ELECTION_NOT_NEEDED


@pytest.mark.parametrize("version", [6, 7, 99, 0x7FFF, -1])
def test_an_unknown_version_of_api_versions_is_answered_without_reading_it(client: WireClient, version: int) -> None:
    body = b"\xff" * 40  # whatever a future client may put there
    head = struct.pack(">hhih", 18, version, 1, 1) + b"c"
    response = client.ask_frame(struct.pack(">i", len(head + body)) + head + body, 18, 0)
    assert response.error_code == ErrorCode.UNSUPPORTED_VERSION
    assert {row.api_key for row in response.api_keys} == set(HANDLERS)
    client.ask(ApiVersionsRequest(client_software_name="c", client_software_version="1"), 4)  # it goes on


def test_api_versions_advertises_what_is_served(client: WireClient) -> None:
    request = ApiVersionsRequest(client_software_name="c", client_software_version="1")
    for version in versions_of(18):
        rows = {row.api_key: row for row in client.ask(request, version).api_keys}
        assert rows[0].min_version == 0  # KAFKA-18659: librdkafka takes more for a broker that can't compress
        assert set(rows) == set(HANDLERS)


def test_features_of_level_0_are_hidden_from_clients_that_cannot_read_them(client: WireClient) -> None:
    request = ApiVersionsRequest(client_software_name="c", client_software_version="1")
    assert all(row.min_version > 0 for row in client.ask(request, 3).supported_features)
    finalized = {row.name: row.max_version_level for row in client.ask(request, 4).finalized_features}
    assert finalized["transaction.version"] == 2


def test_topics_are_asked_for_by_id_from_metadata_v12_on(client: WireClient, led_topic: tuple[str, bytes]) -> None:
    name, topic_id = led_topic
    request = MetadataRequest(topics=[MetadataRequestTopic(topic_id=topic_id, name=None)])
    for version in versions_of(3):
        if version >= 10:
            (row,) = client.ask(request, version).topics
            assert (row.error_code, row.name) == (0, name) if version >= 12 else (ErrorCode.INVALID_REQUEST, "")


def test_what_may_be_done_is_told_when_asked(client: WireClient, led_topic: tuple[str, bytes]) -> None:
    for asked in (True, False):
        request = MetadataRequest(
            topics=[MetadataRequestTopic(name=led_topic[0])],
            include_topic_authorized_operations=asked,
            include_cluster_authorized_operations=asked,
        )
        response = client.ask(request, 8)
        assert response.topics[0].topic_authorized_operations == (TOPIC_OPERATIONS if asked else NOT_ASKED)
        assert response.cluster_authorized_operations == (CLUSTER_OPERATIONS if asked else NOT_ASKED)
        described = client.ask(DescribeClusterRequest(include_cluster_authorized_operations=asked), 1)
        assert described.cluster_authorized_operations == (CLUSTER_OPERATIONS if asked else NOT_ASKED)


def test_a_name_that_cannot_be_is_told_apart_from_one_that_is_not(client: WireClient) -> None:
    for name, error in (("a b", ErrorCode.INVALID_TOPIC_EXCEPTION), ("none", ErrorCode.UNKNOWN_TOPIC_OR_PARTITION)):
        request = MetadataRequest(topics=[MetadataRequestTopic(name=name)], allow_auto_topic_creation=False)
        assert client.ask(request, 9).topics[0].error_code == error
