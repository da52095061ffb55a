"""Where late records go instead of nowhere: `late="topic"` on a windowed aggregation."""

from __future__ import annotations

from typing import Any

from streams.engine.operator import NodeContext, Process
from streams.serdes import Serde


class LateRecords:
    """A topic for the records that came after their windows had closed, as they came."""

    def __init__(self, topic: str, key_serde: Serde[Any] | None, value_serde: Serde[Any] | None) -> None:
        self.topic = topic
        self._key_serde = key_serde
        self._value_serde = value_serde

    def bind(self, node: NodeContext) -> Process:
        task = node.task
        key = task.key_serde(self._key_serde, node.name)
        value = task.value_serde(self._value_serde, node.name)
        return task.collector.sink(self.topic, key, value, None, node.name)
