"""Many records at once: columns through a chain of list comprehensions instead of records through closures.

A subtopology can take batches when nothing in it could tell: it reads one topic, every node has one parent, every
store has one user, no two sinks write the same topic, and every operator offers `bind_batch`. Per topic and changelog
the output is then that of the same records one by one; only the order between topics differs.

Nothing has happened yet when a batch fails before its first effect (a store written, a record sent): the caller then
takes the records one by one and meets the error where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.engine.operator import NodeContext, Operator
from streams.records import Headers
from streams.serdes import BatchCoder, Serde
from streams.topology import ProcessorNode, SinkNode, SourceNode, Topology

if TYPE_CHECKING:
    from streams.engine.context import TaskContext


class Columns(NamedTuple):
    """Records by column, all four of one length. Never changed in place: columns are shared between nodes."""

    keys: Sequence[Any]
    values: Sequence[Any]
    timestamps: Sequence[int]
    headers: Sequence[Headers]

    def part(self, start: int, stop: int) -> Columns:
        return Columns(
            self.keys[start:stop], self.values[start:stop], self.timestamps[start:stop], self.headers[start:stop]
        )


BatchProcess = Callable[[Columns], None]


class BatchSource(NamedTuple):
    """A topic's way into a task, many records at a time. `key` and `value` take and give lists."""

    key_serde: Serde[Any]
    value_serde: Serde[Any]
    read_keys: BatchCoder
    read_values: BatchCoder
    process: BatchProcess
    sink_topics: frozenset[str]


def batch_sources(
    topology: Topology, names: Iterable[str], context: TaskContext, batch_sink: Callable[[SinkNode], BatchProcess]
) -> dict[str, BatchSource]:
    """By real topic name, the sources of `names` whose subtopologies can take batches."""
    ours = set(names)
    found: dict[str, BatchSource] = {}
    for group in topology.subtopologies().values():
        nodes = [topology.nodes[name] for name in group if name in ours]
        sources = [node for node in nodes if isinstance(node, SourceNode)]
        if len(sources) != 1 or len(sources[0].topics) != 1 or sources[0].is_global:
            continue
        if not _cannot_tell(topology, nodes):
            continue
        source = sources[0]
        process = _bind(topology, nodes, context, batch_sink)
        if process is None:
            continue
        internal = topology.internal_topics
        sinks = [node.topic for node in nodes if isinstance(node, SinkNode) and isinstance(node.topic, str)]
        topic, *into = [context.decorated(name) if name in internal else name for name in (source.topics[0], *sinks)]
        key = context.key_serde(source.key_serde, source.name)
        value = context.value_serde(source.value_serde, source.name)
        readers = key.batch_deserializer(topic), value.batch_deserializer(topic)
        found[topic] = BatchSource(key, value, *readers, process, frozenset(into))
    return found


def closed_sources(found: dict[str, BatchSource], source_topics: Iterable[str]) -> dict[str, BatchSource]:
    """Those of `found` from which every topic they lead to takes batches as well, and none leads back."""
    read = set(source_topics)

    def is_closed(topic: str, path: tuple[str, ...]) -> bool:
        if topic not in read:
            return True
        if topic in path or topic not in found:
            return False
        return all(is_closed(below, (*path, topic)) for below in found[topic].sink_topics)

    return {topic: source for topic, source in found.items() if is_closed(topic, ())}


def _cannot_tell(topology: Topology, nodes: Sequence[Any]) -> bool:
    """Whether order between nodes shows nowhere in this subtopology."""
    users: dict[str, int] = {}
    sink_topics: set[str] = set()
    for node in nodes:
        if len(node.parents) > 1:
            return False
        if isinstance(node, ProcessorNode):
            for store in node.stores:
                users[store] = users.get(store, 0) + 1
        if isinstance(node, SinkNode):
            if not isinstance(node.topic, str) or node.topic in sink_topics or node.partitioner is not None:
                return False
            sink_topics.add(node.topic)
        if isinstance(node, SourceNode) and node.timestamp_extractor is not None:
            return False
    names = {node.name for node in nodes}
    for other in topology.nodes.values():
        if not isinstance(other, SinkNode) or other.name in names:
            continue
        if not isinstance(other.topic, str) or other.topic in sink_topics:
            return False
    return all(count == 1 for count in users.values())


def _bind(
    topology: Topology, nodes: Sequence[Any], context: TaskContext, batch_sink: Callable[[SinkNode], BatchProcess]
) -> BatchProcess | None:
    processes: dict[str, BatchProcess] = {}
    children: dict[str, list[str]] = {node.name: [] for node in nodes}
    for node in nodes:
        for parent in node.parents:
            children[parent].append(node.name)
    result: BatchProcess | None = None
    for node in reversed(nodes):
        forward = fan_out_batches([processes[name] for name in children[node.name]])
        if isinstance(node, SinkNode):
            processes[node.name] = batch_sink(node)
        elif isinstance(node, ProcessorNode):
            bound = node.operator.bind_batch(NodeContext(node.name, context, {}, tuple(node.stores)), forward)
            if bound is None:
                return None
            processes[node.name] = bound
        else:
            result = forward
    return result


def fan_out_batches(children: Sequence[BatchProcess]) -> BatchProcess:
    if len(children) == 1:
        return children[0]
    every = tuple(children)

    def forward(batch: Columns) -> None:
        for child in every:
            child(batch)

    return forward


def one_by_one(operator: Operator, node: NodeContext, forward: BatchProcess) -> BatchProcess:
    """The batch form of an operator with state: its records one by one, its results as one batch again.

    Only for operators that look at nothing but their arguments and their own store.
    """
    keys: list[Any] = []
    values: list[Any] = []
    timestamps: list[int] = []
    headers: list[Headers] = []

    def collect(key: Any, value: Any, timestamp: int, its_headers: Headers) -> None:
        keys.append(key)
        values.append(value)
        timestamps.append(timestamp)
        headers.append(its_headers)

    process, context = operator.bind(node, collect), node.task

    def run(batch: Columns) -> None:
        context.has_batch_effects = True
        for key, value, timestamp, its_headers in zip(*batch, strict=True):
            process(key, value, timestamp, its_headers)
        results = Columns(keys[:], values[:], timestamps[:], headers[:])
        for column in (keys, values, timestamps, headers):
            column.clear()
        forward(results)

    return run
