"""Table-table joins where the left row names the right row's key.

The left side subscribes, through a topic partitioned by the foreign key, to the right row it points at. The right
side keeps the subscriptions and answers each with the row, now and at each change, through a topic partitioned by the
left key; the left side joins answers that still fit its row, which a hash of the row's bytes tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from streams.engine.operator import Change, NodeContext, Operator, Process, TableOperator
from streams.functions import takes_key
from streams.operators.subscriptions import (
    Answer,
    CombinedKey,
    ForeignKeySerdes,
    Instruction,
    Subscription,
    row_hash,
)
from streams.records import Headers
from streams.stores.builder import StoreBuilder
from streams.stores.byte_map import after_prefix


class SubscriptionSend(Operator):
    """Left side: turns a change of a left row into subscriptions and unsubscriptions."""

    def __init__(self, extractor: Callable[..., Any], serdes: ForeignKeySerdes, *, is_left: bool) -> None:
        self._extractor = extractor
        self._serdes = serdes
        self._is_left = is_left
        self.uses_versioned_semantics = False

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, hash_of = node.task, row_hash(self._serdes, node)
        extractor, with_key = self._extractor, takes_key(self._extractor)
        foreign_key_serde = task.key_serde(self._serdes.foreign_key, node.name)
        key_bytes = foreign_key_serde.serializer(f"{task.decorated(self._serdes.topic)}-fk")
        instruct = self._left_instructions if self._is_left else self._inner_instructions
        versioned = self.uses_versioned_semantics

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            new, old, is_latest = change
            if versioned and not is_latest:
                task.dropped_records += 1
                return
            new_key = old_key = None
            if new is not None:
                new_key = extractor(key, new) if with_key else extractor(new)
            if old is not None:
                old_key = extractor(key, old) if with_key else extractor(old)
            has_moved = old_key is not None and key_bytes(old_key) != key_bytes(new_key)
            steps = instruct(new, old, new_key, old_key, has_moved)
            if steps is None:
                task.dropped_records += 1
                steps = [] if old_key is None else [(old_key, Instruction.DELETE_KEY_AND_PROPAGATE)]
            hash_now = hash_of(new) if steps else None
            partition = task.partition
            for foreign_key, instruction in steps:
                forward(foreign_key, Subscription(hash_now, instruction, key, partition), timestamp, headers)

        return process

    @staticmethod
    def _left_instructions(
        new: Any, old: Any, new_key: Any, old_key: Any, has_moved: bool
    ) -> list[tuple[Any, Instruction]] | None:
        if new is None and old is None:
            return []
        steps: list[tuple[Any, Instruction]] = []
        if has_moved:
            steps.append((old_key, Instruction.DELETE_KEY_NO_PROPAGATE))
        steps.append((new_key, Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE))
        return steps

    @staticmethod
    def _inner_instructions(
        new: Any, old: Any, new_key: Any, old_key: Any, has_moved: bool
    ) -> list[tuple[Any, Instruction]] | None:
        """None when the new row names no right row: it is dropped, after its old subscription ended."""
        if new is None:
            return [] if old_key is None else [(old_key, Instruction.DELETE_KEY_AND_PROPAGATE)]
        if new_key is None:
            return None
        if has_moved:
            return [
                (old_key, Instruction.DELETE_KEY_NO_PROPAGATE),
                (new_key, Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE),
            ]
        return [(new_key, Instruction.PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE)]


class SubscriptionReceive(Operator):
    """Right side: keeps or forgets the subscription, then passes it on as (foreign key, subscription)."""

    def __init__(self, store: StoreBuilder, serdes: ForeignKeySerdes) -> None:
        self._store = store
        self._serdes = serdes

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self._store,)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store, combined = node.task, node.store(self._store.name), CombinedKey(self._serdes, node)

        def process(key: Any, value: Subscription, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            instruction = value.instruction
            if key is None:
                if instruction is not Instruction.PROPAGATE_NULL_IF_NO_FK_VAL_AVAILABLE:
                    task.dropped_records += 1
                    return
            else:
                place = combined.encode(key, value.primary_key)
                task.timestamp = timestamp
                is_end = instruction <= Instruction.DELETE_KEY_AND_PROPAGATE
                store.put(place, None if is_end else (value, timestamp))
            forward(key, value, timestamp, headers)

        return process


class SubscriptionJoin(Operator):
    """Right side: answers a new subscription with the row as it is."""

    def __init__(self, foreign: TableOperator) -> None:
        self._foreign = foreign

    def bind(self, node: NodeContext, forward: Process) -> Process:
        look_up = self._foreign.view(node).get

        def process(key: Any, value: Subscription, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            row = None if key is None else look_up(key)
            found = None if row is None else row[0]
            instruction = value.instruction
            if instruction is Instruction.DELETE_KEY_NO_PROPAGATE:
                return
            if instruction is Instruction.PROPAGATE_ONLY_IF_FK_VAL_AVAILABLE and found is None:
                return
            if instruction is Instruction.DELETE_KEY_AND_PROPAGATE:
                found = None
            answer = Answer(value.hash, found, value.primary_partition)
            forward(value.primary_key, answer, timestamp if row is None else max(timestamp, row[1]), headers)

        return process


class ForeignTableJoin(Operator):
    """Right side: answers every subscription to a row that changed."""

    def __init__(self, store: StoreBuilder, serdes: ForeignKeySerdes) -> None:
        self._store = store
        self._serdes = serdes
        self.uses_versioned_semantics = False

    @property
    def stores(self) -> Sequence[StoreBuilder]:
        return (self._store,)

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, store, combined = node.task, node.store(self._store.name), CombinedKey(self._serdes, node)
        versioned = self.uses_versioned_semantics

        def process(key: Any, change: Change, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            if key is None or (versioned and not change[2]):
                task.dropped_records += 1
                return
            prefix = combined.prefix(key)
            end = after_prefix(prefix)
            for place, (subscription, _) in list(store.range(prefix, end)):
                if place.startswith(prefix):
                    answer = Answer(subscription.hash, change[0], subscription.primary_partition)
                    forward(subscription.primary_key, answer, timestamp, headers)

        return process


class AnswerJoin(Operator):
    """Left side: joins an answer with the row that asked, unless that row has changed since."""

    def __init__(
        self, left: TableOperator, serdes: ForeignKeySerdes, joiner: Callable[[Any, Any], Any], *, is_left: bool
    ) -> None:
        self._left = left
        self._serdes = serdes
        self._joiner = joiner
        self._is_left = is_left

    def bind(self, node: NodeContext, forward: Process) -> Process:
        task, look_up, hash_of = node.task, self._left.view(node).get, row_hash(self._serdes, node)
        join, is_left = self._joiner, self._is_left

        def process(key: Any, value: Answer, timestamp: int, headers: Headers, _node: str = node.name) -> None:
            row = look_up(key)
            current = None if row is None else row[0]
            if hash_of(current) != value.hash:
                task.dropped_records += 1
                return
            result = None
            if value.foreign_value is not None or (is_left and current is not None):
                result = join(current, value.foreign_value)
            forward(key, result, timestamp, headers)

        return process
