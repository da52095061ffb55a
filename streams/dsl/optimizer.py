"""Rewrites of a plan that save topics and stores, each on by name.

reuse.ktable.source.topics    a table's own topic serves as its changelog
merge.repartition.topics      several repartitions after one change of key share one topic
single.store.self.join        a stream joined with itself needs one store
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.dsl.graph import GraphNode, ProcessorStep, RepartitionStep
from streams.dsl.join_steps import StreamJoinStep
from streams.errors import TopologyError

if TYPE_CHECKING:
    from streams.dsl.plan import Plan

REUSE_TABLE_TOPICS = "reuse.ktable.source.topics"
MERGE_REPARTITIONS = "merge.repartition.topics"
SELF_JOIN = "single.store.self.join"
ALL = frozenset((REUSE_TABLE_TOPICS, MERGE_REPARTITIONS, SELF_JOIN))


def parse_optimizations(setting: str) -> frozenset[str]:
    """From `topology.optimization`: none, all, or a comma-separated list."""
    if setting in ("", "none"):
        return frozenset()
    if setting == "all":
        return ALL
    chosen = frozenset(part.strip() for part in setting.split(","))
    if chosen - ALL:
        raise TopologyError(
            f"unknown optimization {', '.join(sorted(chosen - ALL))}; known are {', '.join(sorted(ALL))}"
        )
    return chosen


def optimize(plan: Plan, chosen: frozenset[str]) -> None:
    if REUSE_TABLE_TOPICS in chosen:
        for source in plan.table_sources:
            source.reuses_source_topic = True
    if MERGE_REPARTITIONS in chosen:
        _merge_repartitions(plan)
    if SELF_JOIN in chosen:
        _use_one_store_for_self_joins(plan.root, set())


def _use_one_store_for_self_joins(node: GraphNode, visited: set[GraphNode]) -> None:
    visited.add(node)
    if isinstance(node, StreamJoinStep) and len(node.parents) == 1:
        parent = next(iter(node.parents))
        for child in list(parent.children):
            if isinstance(child, ProcessorStep) and child.name == node.windowed_names[1]:
                parent.remove_child(child)
        node.is_self_join = True
    for child in list(node.children):
        if child not in visited:
            _use_one_store_for_self_joins(child, visited)


def _merge_repartitions(plan: Plan) -> None:
    _move_up_through_merges(plan)
    for changer, repartitions in plan.repartitions_of.items():
        if not repartitions:
            continue
        steps = list(repartitions)
        key = next((step.key_serde for step in steps if step.key_serde is not None), None)
        value = next((step.value_serde for step in steps if step.value_serde is not None), None)
        shared = plan.repartition_step(key, value, steps[0].topic)
        shared.build_priority = changer.build_priority
        for step in steps:
            _replace(plan, changer, step, shared)
        changer.add_child(shared)


def _replace(plan: Plan, changer: GraphNode, step: RepartitionStep, shared: RepartitionStep) -> None:
    """Take `step` out: what led from the key changer to it now hangs below the shared repartition."""
    from streams.dsl.plan import first_above

    branch = first_above(step, lambda node: changer in node.parents)
    if branch is None:
        raise TopologyError(f"no way from {changer.name} to {step.name}")
    shared.add_child(branch)
    changer.remove_child(branch)
    parents = list(step.parents)
    for child in list(step.children):
        for parent in parents:
            parent.add_child(child)
    for parent in parents:
        parent.remove_child(step)
    step.clear_children()
    for group in plan.copartition_groups:
        if step.name in group:
            group.remove(step.name)
            group.add(shared.name)


def _move_up_through_merges(plan: Plan) -> None:
    """Repartitions below a merge of several key changers are shared below the merge."""
    from streams.dsl.plan import first_above

    done: set[GraphNode] = set()
    for merge in plan.merges:
        shared: dict[RepartitionStep, None] = {}
        for changer, repartitions in list(plan.repartitions_of.items()):
            below = all(
                first_above(step, lambda node, merge=merge: merge in node.parents) is not None for step in repartitions
            )
            reaches = first_above(merge, lambda node, changer=changer: changer in node.parents)
            if below and reaches is not None:
                shared.update(repartitions)
                done.add(changer)
        plan.repartitions_of[merge] = shared
    for changer in done:
        plan.repartitions_of.pop(changer, None)
