"""A query that only somebody who waits wants: it runs here, on the task of the test driver, over all partitions.

No group, no internal topics, nothing to clean up: whatever it keeps is in memory and gone when it ends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streams.config import log_and_continue, log_and_skip_on_invalid_timestamp
from streams.sql.backend import TopicRecord
from streams.sql.planned import Planned
from streams.test_driver import TopologyTestDriver

Taker = Callable[[Any, Any], object]

QUERY_SETTINGS: dict[str, Any] = {
    "deserialization_exception_handler": log_and_continue,
    "default_timestamp_extractor": log_and_skip_on_invalid_timestamp,
}
"""As ksqlDB: a record that can't be read, or has no time, is skipped."""


class Transient:
    """Pipe records in; `take(key, value)` is called with each result."""

    def __init__(self, planned: Planned, take: Taker) -> None:
        flow = planned.flow.to_stream() if planned.is_table else planned.flow
        flow.for_each(lambda k, v: take(k, v))
        settings = {"application_id": "transient", **QUERY_SETTINGS}
        self._driver = TopologyTestDriver(planned.builder.build(), settings)

    def pipe(self, record: TopicRecord) -> None:
        self._driver.pipe_record(record.topic, record.key, record.value, record.timestamp, record.headers)

    def close(self) -> None:
        self._driver.close()
