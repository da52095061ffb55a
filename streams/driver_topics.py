"""The two ends of a TopologyTestDriver: topics to pipe records into, and topics to read results from."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from streams.engine.batch import Columns
from streams.errors import StreamsError
from streams.records import NO_TIMESTAMP, Headers, Record
from streams.serdes import Serde, needed

if TYPE_CHECKING:
    from streams.test_driver import TopologyTestDriver


class TestInputTopic:
    """Pipes records into one topic. Serdes default to the app's."""

    __test__ = False  # not a test class, whatever pytest thinks of its name

    def __init__(
        self,
        driver: TopologyTestDriver,
        topic: str,
        key: Serde[Any] | None,
        value: Serde[Any] | None,
        timestamp: int,
        advance_ms: int,
    ) -> None:
        self.topic = topic
        self._driver = driver
        self._key = key or driver.config.default_key_serde
        self._value = value or driver.config.default_value_serde
        self._timestamp = timestamp
        self._advance_ms = advance_ms

    def pipe(self, key: Any = None, value: Any = None, *, timestamp: int | None = None, headers: Headers = ()) -> None:
        """Process one record completely."""
        if timestamp is None:
            timestamp = self._timestamp
            self._timestamp += self._advance_ms
        key_bytes = None if key is None else needed(self._key, "key").serializer(self.topic)(key)
        value_bytes = None if value is None else needed(self._value, "value").serializer(self.topic)(value)
        self._driver.pipe_record(self.topic, key_bytes, value_bytes, timestamp, headers)

    def pipe_value(self, value: Any, *, timestamp: int | None = None, headers: Headers = ()) -> None:
        """A record without a key."""
        self.pipe(None, value, timestamp=timestamp, headers=headers)

    def pipe_record(self, record: Record[Any, Any]) -> None:
        self.pipe(record.key, record.value, timestamp=record.timestamp, headers=record.headers)

    def pipe_key_values(self, pairs: Iterable[tuple[Any, Any]]) -> None:
        listed = list(pairs)
        self.pipe_batch([key for key, _ in listed], [value for _, value in listed])

    def pipe_values(self, values: Iterable[Any]) -> None:
        listed = list(values)
        self.pipe_batch([None] * len(listed), listed)

    def pipe_batch(
        self,
        keys: Sequence[Any],
        values: Sequence[Any],
        *,
        timestamps: Sequence[int] | None = None,
        headers: Sequence[Headers] | None = None,
    ) -> None:
        """Many records, with the results of one after the other, several times as fast where the topology allows."""
        count = len(values)
        if timestamps is None:
            step = self._advance_ms
            timestamps = [self._timestamp] * count
            if step:
                timestamps = list(range(self._timestamp, self._timestamp + step * count, step))
            self._timestamp += step * count
        key_bytes: Sequence[Any] = keys
        if any(key is not None for key in keys):
            key_bytes = needed(self._key, "key").batch_serializer(self.topic)(keys)
        value_bytes = needed(self._value, "value").batch_serializer(self.topic)(values)
        batch = Columns(key_bytes, value_bytes, timestamps, [()] * count if headers is None else headers)
        self._driver.pipe_batch(self.topic, batch)

    def advance_time(self, advance_ms: int) -> None:
        """Move the timestamp that the next records get."""
        if advance_ms < 0:
            raise StreamsError("time can't be moved back")
        self._timestamp += advance_ms


class TestOutputTopic:
    """Reads what was produced to one topic, in order, each record once."""

    __test__ = False

    def __init__(
        self, driver: TopologyTestDriver, topic: str, key: Serde[Any] | None, value: Serde[Any] | None
    ) -> None:
        self.topic = topic
        self._driver = driver
        key_serde, value_serde = key or driver.config.default_key_serde, value or driver.config.default_value_serde
        self._key = needed(key_serde, "key").deserializer(topic)
        self._value = needed(value_serde, "value").deserializer(topic)

    def read(self) -> Record[Any, Any]:
        """The next record. Raises StreamsError when there is none."""
        records = self._driver.output(self.topic)
        if not records:
            raise StreamsError(f"no record left in topic {self.topic}")
        record = records.popleft()
        timestamp = NO_TIMESTAMP if record.timestamp is None else record.timestamp
        return Record(self._key(record.key), self._value(record.value), timestamp, record.headers)

    def read_value(self) -> Any:
        return self.read().value

    def read_key_value(self) -> tuple[Any, Any]:
        record = self.read()
        return record.key, record.value

    def read_records(self) -> list[Record[Any, Any]]:
        """All that is left."""
        return [self.read() for _ in range(self.size)]

    def read_key_values(self) -> list[tuple[Any, Any]]:
        return [(record.key, record.value) for record in self.read_records()]

    def read_values(self) -> list[Any]:
        return [record.value for record in self.read_records()]

    def read_map(self) -> dict[Any, Any]:
        """The last value of each key."""
        return dict(self.read_key_values())

    @property
    def size(self) -> int:
        return len(self._driver.output(self.topic))

    @property
    def is_empty(self) -> bool:
        return self.size == 0
