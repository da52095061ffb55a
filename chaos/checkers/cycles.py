"""Circles among transactions: G0 by writes alone, G1c by reads alone, G1c-ww by both (Adya's names; Jepsen has Elle).

    ww  T1's message stands right before T2's in a partition, other transactions' messages aside
    wr  T2 polled a message of T1's

In Kafka the records of open transactions may interleave, so G0 and G1c-ww are normal there. G1c is not: to read
somebody's message means that he has committed, so two can't have read each other's. A send outside of transactions is
one record in one partition and closes no circle.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from chaos.checkers.analysis import Analysis, polls_of, sends_of
from chaos.checkers.components import components
from chaos.checkers.verdict import Anomaly
from chaos.history import Op


class Edge(NamedTuple):
    """Why the first transaction comes before the second: "ww" with both messages, "wr" with the one that was read."""

    kind: str
    key: str
    message: Any
    next_message: Any = None


Graph = list[dict[int, Edge]]  # node -> next node -> why


def cycles(analysis: Analysis) -> Iterator[Anomaly]:
    ops = [op for op in analysis.completions if op.f == "txn" and op.type != "fail" and any(sends_of(op))]
    nodes = {op.index: node for node, op in enumerate(ops)}
    writes = _write_graph(analysis, nodes, len(ops))
    reads = _read_graph(analysis, nodes, ops)
    for members in components(writes):
        yield _explained("G0", ops, _shortest(writes, members, min(members)))
    in_g1c: set[int] = set()
    for members in components(reads):
        in_g1c |= members
        yield _explained("G1c", ops, _shortest(reads, members, min(members)))
    if any(reads):
        both: Graph = [{**by_read, **by_write} for by_read, by_write in zip(reads, writes, strict=True)]
        for members in components(both):
            if members & in_g1c:
                continue
            start = next((n for n in sorted(members) if any(m in members and m not in writes[n] for m in reads[n])), -1)
            if start >= 0:
                yield _explained("G1c-ww", ops, _through_a_read(both, members, start))


def _write_graph(analysis: Analysis, nodes: dict[int, int], size: int) -> Graph:
    graph: Graph = [{} for _ in range(size)]
    for log in analysis.logs.values():
        before: tuple[int, Any] | None = None
        if not any(writer.f == "txn" for writer in log.writers.values()):
            continue
        for offset in log.offsets:
            message = log.at[offset]
            if message not in log.committed:
                continue
            node = nodes.get(log.writers[message].index)
            if node is None:
                continue
            if before is not None and before[0] != node:
                graph[before[0]].setdefault(node, Edge("ww", log.key, before[1], message))
            before = (node, message)
    return graph


def _read_graph(analysis: Analysis, nodes: dict[int, int], ops: list[Op]) -> Graph:
    graph: Graph = [{} for _ in ops]
    for node, op in enumerate(ops):
        for key, pairs in polls_of(op):
            writers = analysis.logs[key].writers
            for _, message in pairs:
                writer = writers.get(message)
                source = nodes.get(writer.index) if writer is not None else None
                if source is not None and source != node:
                    graph[source].setdefault(node, Edge("wr", key, message))
    return graph


def _shortest(graph: Graph, members: set[int], start: int, first: int | None = None) -> list[tuple[int, Edge]]:
    """The shortest way from `start` back to it (`first`: its first step): nodes, each with the edge that leaves it."""
    came_from: dict[int, int] = {}
    waiting = deque([start])
    if first is not None:
        came_from[first] = start
        waiting = deque([first])
    while waiting:
        node = waiting.popleft()
        for following in graph[node]:
            if following == start:
                way = [node]
                while way[-1] != start:
                    way.append(came_from[way[-1]])
                way.reverse()
                return [(here, graph[here][there]) for here, there in zip(way, [*way[1:], start], strict=True)]
            if following in members and following not in came_from:
                came_from[following] = node
                waiting.append(following)
    raise AssertionError("a strongly connected component has a circle through each of its members")


def _through_a_read(graph: Graph, members: set[int], start: int) -> list[tuple[int, Edge]]:
    reader = next(node for node, edge in graph[start].items() if edge.kind == "wr" and node in members)
    return _shortest(graph, members, start, reader)


def _explained(kind: str, ops: list[Op], way: list[tuple[int, Edge]]) -> Anomaly:
    steps = []
    for place, (node, edge) in enumerate(way):
        here, there = ops[node], ops[way[(place + 1) % len(way)][0]]
        if edge.kind == "ww":
            steps.append(f"{here} sent {edge.message!r} to {edge.key} before {there} sent {edge.next_message!r}")
        else:
            steps.append(f"{there} polled {edge.message!r} from {edge.key}, which {here} had sent")
    explanation = f"A circle of {len(way)} transactions: {'; '.join(steps)}."
    return Anomaly(kind, explanation, tuple(ops[node] for node, _ in way))
