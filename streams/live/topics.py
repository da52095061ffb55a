"""Which topics a topology reads, writes and keeps for itself, and how many partitions each needs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from clients.admin import Admin
from clients.admin_types import NewTopic
from model.errors import TopicAlreadyExists
from streams.errors import MissingTopic, StreamsError
from streams.stores.builder import StoreKind
from streams.topology import ProcessorNode, SinkNode, SourceNode, Topology


@dataclass
class Subtopology:
    """One share of the topology: task `id_p` reads partition p of each of its topics. Topics by their real names.

    `patterns` are those of its sources that name no topics; what they match is known once the cluster is asked.
    """

    id: int
    node_names: list[str]
    sources: list[str] = field(default_factory=list)
    patterns: list[re.Pattern[str]] = field(default_factory=list)
    sinks: list[str] = field(default_factory=list)
    changelogs: dict[str, str] = field(default_factory=dict)
    is_global: bool = False
    partitions: int = 0
    counts: dict[str, int] = field(default_factory=dict)


def subtopologies(topology: Topology, application_id: str) -> list[Subtopology]:
    """By id, with every topic under its real name."""

    def real(topic: str) -> str:
        return f"{application_id}-{topic}" if topic in topology.internal_topics else topic

    found = []
    for number, names in topology.subtopologies().items():
        sub = Subtopology(number, names, is_global=topology.is_global_group(names))
        for name in names:
            node = topology.nodes[name]
            if isinstance(node, SourceNode):
                if node.pattern is not None:
                    sub.patterns.append(node.pattern)
                sub.sources += [real(topic) for topic in node.topics]
            elif isinstance(node, SinkNode) and isinstance(node.topic, str):
                sub.sinks.append(real(node.topic))
            elif isinstance(node, ProcessorNode):
                for store in node.stores:
                    builder = topology.stores.get(store)
                    if builder is not None and builder.is_logged:
                        sub.changelogs[store] = f"{application_id}-{store}-changelog"
                    elif builder is not None and store in topology.source_topic_of_store:
                        sub.changelogs[store] = topology.source_topic_of_store[store]
        found.append(sub)
    return found


def count_partitions(
    topology: Topology, subs: list[Subtopology], known: Mapping[str, int], application_id: str
) -> None:
    """Set each subtopology's `partitions`, the most of its topics, and its `counts`, those of its internal topics.

    An internal topic has as many as what is written to it, unless it is joined with a topic that somebody else keeps.
    Raises StreamsError when such a topic is missing, or when joined topics can't have equally many.
    """
    fixed = {f"{application_id}-{topic}": count for topic, count in topology.internal_topics.items() if count}
    internal = {f"{application_id}-{topic}" for topic in topology.internal_topics}
    for sub in subs:
        for topic in sub.sources:
            if topic not in internal and topic not in known:
                raise MissingTopic(f"source topic {topic} does not exist; create it before the app starts")
    groups = [_topics_of(topology, group, known, application_id) for group in topology.copartition_groups]
    for group in groups:
        given = [fixed.get(topic, known.get(topic, 0)) for topic in group if topic in fixed or topic not in internal]
        if given:
            fixed |= {topic: min(given) for topic in group if topic in internal and topic not in fixed}
    counts = {**known, **fixed}
    for _ in range(len(subs) + 1):
        for sub in subs:
            matched = [topic for topic in known for pattern in sub.patterns if pattern.fullmatch(topic)]
            sub.partitions = max((counts.get(topic, 0) for topic in (*sub.sources, *matched)), default=0)
            for topic in sub.sinks:
                if topic in internal and topic not in fixed:
                    counts[topic] = max(counts.get(topic, 0), sub.partitions)
        for group in groups:
            agreed = max((counts.get(topic, 0) for topic in group), default=0)
            counts |= dict.fromkeys((topic for topic in group if topic in internal and topic not in fixed), agreed)
    for group in groups:
        if len({counts.get(topic, 0) for topic in group}) > 1:
            shown = ", ".join(f"{topic} has {counts.get(topic, 0)}" for topic in sorted(group))
            raise StreamsError(
                f"what is joined or grouped together must have equally many partitions: {shown}; repartition() one"
            )
    for sub in subs:
        sub.counts = {topic: counts.get(topic, 0) for topic in sub.sources if topic in internal}


def prepare_topics(
    admin: Admin,
    topology: Topology,
    subs: list[Subtopology],
    global_subs: Iterable[Subtopology],
    application_id: str,
    replication: int,
) -> dict[str, int]:
    """Count the partitions and create what the app keeps for itself; the partitions of every topic there was before.

    Raises MissingTopic, also for a global table's, which nobody else would miss.
    """
    known = {name: len(topic.partitions) for name, topic in admin.describe_topics().items()}
    for topic in (topic for sub in global_subs for topic in sub.sources):
        if topic not in known:
            raise MissingTopic(f"topic {topic} of a global table does not exist; create it before the app starts")
    count_partitions(topology, subs, known, application_id)
    create_internal_topics(admin, topology, subs, application_id, replication)
    return known


def subscription(subs: Iterable[Subtopology]) -> tuple[list[str], str | None]:
    """The topics to subscribe to; or a pattern of them all, where one of the sources has one."""
    each = list(subs)
    topics = [topic for sub in each for topic in sub.sources]
    patterns = [pattern.pattern for sub in each for pattern in sub.patterns]
    if not patterns:
        return topics, None
    return topics, "|".join([*map(re.escape, topics), *(f"(?:{pattern})" for pattern in patterns)])


def _topics_of(
    topology: Topology, sources: Iterable[str], known: Mapping[str, int], application_id: str
) -> set[str]:
    """Of source nodes, by their real names."""
    found: set[str] = set()
    for name in sources:
        node = topology.nodes.get(name)
        if isinstance(node, SourceNode):
            if node.pattern is not None:
                found |= {topic for topic in known if node.pattern.fullmatch(topic)}
            found |= {
                f"{application_id}-{topic}" if topic in topology.internal_topics else topic for topic in node.topics
            }
    return found


def create_internal_topics(
    admin: Admin, topology: Topology, subs: list[Subtopology], application_id: str, replication: int
) -> None:
    """Repartition topics and changelogs that aren't there yet, with Kafka Streams' names and settings."""
    existing = {name: len(topic.partitions) for name, topic in admin.describe_topics().items()}
    internal = {f"{application_id}-{topic}" for topic in topology.internal_topics}
    wanted: dict[str, NewTopic] = {}
    for sub in subs:
        for topic in sub.sources:
            if topic in internal:
                configs = {"cleanup.policy": "delete", "retention.ms": "-1", "segment.bytes": "52428800"}
                wanted[topic] = NewTopic(topic, sub.counts[topic], replication, configs)
        for store, topic in sub.changelogs.items():
            if topic.startswith(f"{application_id}-") and topic.endswith("-changelog"):
                supplier = topology.stores[store].supplier
                configs = {"cleanup.policy": "compact"}
                if supplier.kind in (StoreKind.WINDOW, StoreKind.TIMESTAMPED_WINDOW, StoreKind.SESSION):
                    configs["cleanup.policy"] = "compact,delete"
                    configs["retention.ms"] = str(supplier.retention_ms + 24 * 3600 * 1000)
                configs.update(topology.stores[store].log_config)
                wanted[topic] = NewTopic(topic, sub.partitions, replication, configs)
    for topic, new in wanted.items():
        if new.partitions > existing.get(topic, new.partitions):
            raise StreamsError(
                f"{topic} has {existing[topic]} partitions, but what it belongs to has {new.partitions} by now: reset "
                "the application (delete its internal topics and its group), or begin under another application_id"
            )
        if topic not in existing and new.partitions:
            try:
                admin.create_topics([new])
            except TopicAlreadyExists:
                pass  # another instance was quicker
