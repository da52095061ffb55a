"""SqlTestDriver: SQL without a cluster, deterministic, for tests and for trying things out.

    with SqlTestDriver() as sql:
        sql.topic("lines")
        sql.execute("CREATE STREAM lines (line STRING) WITH (kafka_topic='lines', value_format='KAFKA')")
        sql.execute("CREATE STREAM words AS SELECT EXPLODE(SPLIT(LCASE(line), ' ')) AS word FROM lines")
        sql.execute("CREATE TABLE counts AS SELECT word, COUNT(*) AS n FROM words GROUP BY word")
        sql.execute("INSERT INTO lines VALUES ('to be or not to be')")
        assert sql.rows("SELECT n FROM counts WHERE word = 'to'") == [(2,)]

Topics have one partition; everything that follows from a record has happened when `execute` or `pipe` returns.
"""

from __future__ import annotations

from typing import Any

from streams.records import Headers
from streams.serdes import Serde
from streams.sql.backend import TopicRecord
from streams.sql.engine import SqlEngine
from streams.sql.memory_backend import MemoryBackend
from streams.sql.results import PushResult
from streams.windows import Duration, to_ms


class SqlTestDriver(SqlEngine):
    """An engine with topics in memory, and hands to write and read them."""

    def __init__(self, *, now_ms: int = 0) -> None:
        self.memory = MemoryBackend(now_ms)
        super().__init__(backend=self.memory)

    def topic(self, *names: str) -> None:
        """Topics that somebody else would have created."""
        for name in names:
            self.memory.create_topic(name, 1, None, is_compacted=False)

    def pipe(
        self,
        topic: str,
        key: Any = None,
        value: Any = None,
        *,
        timestamp: int = -1,
        headers: Headers = (),
        key_serde: Serde[Any] | None = None,
        value_serde: Serde[Any] | None = None,
    ) -> None:
        """Write one record; bytes and strings as they are, other things by the given serdes. A negative timestamp
        means the driver's clock."""
        self.memory.write([TopicRecord(topic, _bytes(key, key_serde), _bytes(value, value_serde), timestamp, headers)])

    def insert(self, source: str, rows: list[dict[str, Any]], *, timestamp: int = -1) -> None:
        """Write rows into a stream or table, by column name; the same as INSERT INTO … VALUES, without text."""
        declared = self.catalog.get(source.upper())
        key_bytes = declared.key_serde().serializer(declared.topic)
        value_bytes = declared.value_serde().serializer(declared.topic)
        records = []
        for row in rows:
            given = {name.upper(): value for name, value in row.items()}
            keys = tuple(given.get(column.name) for column in declared.key)
            key = None if not keys else keys[0] if len(keys) == 1 else keys
            value = tuple(given.get(column.name) for column in declared.value)
            records.append(TopicRecord(declared.topic, key_bytes(key), value_bytes(value), timestamp))
        self.memory.write(records)

    def records(self, topic: str) -> list[TopicRecord]:
        """All that a topic holds."""
        return list(self.memory.logs.get(topic, ()))

    def rows(self, text: str) -> list[tuple[Any, ...]]:
        """The rows of the last statement of `text`; of a push query those there are so far."""
        result = self.execute(text)[-1]
        return list(result) if isinstance(result, PushResult) else result.rows

    def advance_wall_clock(self, advance: Duration) -> None:
        self.memory.advance_wall_clock(to_ms(advance))


def _bytes(value: Any, serde: Serde[Any] | None) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    if serde is not None:
        return serde.encode(value)
    if isinstance(value, str):
        return value.encode()
    raise TypeError(f"{type(value).__name__} needs a serde")
