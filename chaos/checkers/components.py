"""Strongly connected components, by Tarjan's algorithm without recursion: histories are longer than Python's stack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence


def components(graph: Sequence[Iterable[int]]) -> Iterator[set[int]]:
    """Those of at least two nodes. `graph[node]` names the nodes that edges lead to; no node leads to itself."""
    number = [0] * len(graph)  # 1, 2, … in the order of discovery; 0: not seen yet
    lowest = [0] * len(graph)
    is_open = bytearray(len(graph))
    opened: list[int] = []
    count = 0
    for root in range(len(graph)):
        if number[root]:
            continue
        path = [(root, iter(graph[root]))]
        count += 1
        number[root] = lowest[root] = count
        is_open[root] = 1
        opened.append(root)
        while path:
            node, rest = path[-1]
            for following in rest:
                if not number[following]:
                    count += 1
                    number[following] = lowest[following] = count
                    is_open[following] = 1
                    opened.append(following)
                    path.append((following, iter(graph[following])))
                    break
                if is_open[following]:
                    lowest[node] = min(lowest[node], number[following])
            else:
                path.pop()
                if path:
                    lowest[path[-1][0]] = min(lowest[path[-1][0]], lowest[node])
                if lowest[node] == number[node]:
                    members = set()
                    while True:
                        member = opened.pop()
                        is_open[member] = 0
                        members.add(member)
                        if member == node:
                            break
                    if len(members) > 1:
                        yield members
