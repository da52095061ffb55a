"""89 StreamsGroupDescribe, v0-1.

Shows streams groups.
"""

from __future__ import annotations

from protocol.codec import Bool, Int8, Int16, Int32, Int64, Message, String, Struct, Uint16, field


class StreamsGroupDescribeRequest(Message, key=89, versions="0-1", flexible="0+"):
    group_ids: list[String] = field("0+")
    include_authorized_operations: Bool = field("0+")
    include_topology_description: Bool = field("1+")


class StreamsGroupDescribeResponse(Message, key=89, versions="0-1", flexible="0+"):
    throttle_time_ms: Int32 = field("0+")
    groups: list[DescribedGroup] = field("0+")


class DescribedGroup(Struct):
    error_code: Int16 = field("0+")
    error_message: String | None = field("0+", nullable="0+", default=None)
    group_id: String = field("0+")
    group_state: String = field("0+")
    group_epoch: Int32 = field("0+")
    assignment_epoch: Int32 = field("0+")
    topology: Topology | None = field("0+", nullable="0+", default=None)
    members: list[Member] = field("0+")
    authorized_operations: Int32 = field("0+", default=-0x80000000)
    topology_description: TopologyDescription | None = field("1+", nullable="1+", default=None)
    topology_description_status: Int8 = field("1+")
    assignor_name: String | None = field("1+", nullable="1+", default=None, ignorable=True)


class Topology(Struct):
    epoch: Int32 = field("0+")
    subtopologies: list[Subtopology] | None = field("0+", nullable="0+", default=None)


class Subtopology(Struct):
    subtopology_id: String = field("0+")
    source_topics: list[String] = field("0+")
    repartition_sink_topics: list[String] = field("0+")
    state_changelog_topics: list[TopicInfo] = field("0+")
    repartition_source_topics: list[TopicInfo] = field("0+")


class TopicInfo(Struct):
    name: String = field("0+")
    partitions: Int32 = field("0+")
    replication_factor: Int16 = field("0+")
    topic_configs: list[KeyValue] = field("0+")


class KeyValue(Struct):
    key: String = field("0+")
    value: String = field("0+")


class Member(Struct):
    member_id: String = field("0+")
    member_epoch: Int32 = field("0+")
    instance_id: String | None = field("0+", nullable="0+", default=None)
    rack_id: String | None = field("0+", nullable="0+", default=None)
    client_id: String = field("0+")
    client_host: String = field("0+")
    topology_epoch: Int32 = field("0+")
    process_id: String = field("0+")
    user_endpoint: Endpoint | None = field("0+", nullable="0+", default=None)
    client_tags: list[KeyValue] = field("0+")
    task_offsets: list[TaskOffset] = field("0+")
    task_end_offsets: list[TaskOffset] = field("0+")
    assignment: Assignment = field("0+")
    target_assignment: Assignment = field("0+")
    is_classic: Bool = field("0+")


class Endpoint(Struct):
    host: String = field("0+")
    port: Uint16 = field("0+")


class TaskOffset(Struct):
    subtopology_id: String = field("0+")
    partition: Int32 = field("0+")
    offset: Int64 = field("0+")


class Assignment(Struct):
    active_tasks: list[TaskIds] = field("0+")
    standby_tasks: list[TaskIds] = field("0+")
    warmup_tasks: list[TaskIds] = field("0+")


class TaskIds(Struct):
    subtopology_id: String = field("0+")
    partitions: list[Int32] = field("0+")


class TopologyDescription(Struct):
    subtopologies: list[TopologyDescriptionSubtopology] = field("1+")
    global_stores: list[TopologyDescriptionGlobalStore] = field("1+")


class TopologyDescriptionSubtopology(Struct):
    subtopology_id: String = field("1+")
    nodes: list[TopologyDescriptionNode] = field("1+")


class TopologyDescriptionNode(Struct):
    name: String = field("1+")
    node_type: Int8 = field("1+")
    source_topics: list[String] = field("1+")
    sink_topic: String | None = field("1+", nullable="1+", default=None)
    stores: list[String] = field("1+")
    successors: list[String] = field("1+")


class TopologyDescriptionGlobalStore(Struct):
    source: TopologyDescriptionNode = field("1+")
    processor: TopologyDescriptionNode = field("1+")
