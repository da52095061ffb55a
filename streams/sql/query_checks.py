"""What a persistent query must not be, known before it starts. Each raises SqlError where the statement is wrong."""

from __future__ import annotations

from streams.sql.errors import SqlError, listed
from streams.sql.planned import Planned
from streams.sql.statements import CreateAs, Select


def check_kind(statement: CreateAs, planned: Planned) -> None:
    """CREATE TABLE takes a table, CREATE STREAM a stream."""
    if statement.is_table == planned.is_table:
        return
    gives, right = ("table", "TABLE") if planned.is_table else ("stream", "STREAM")
    raise SqlError(f"this SELECT gives a {gives}", statement.select.at, f"CREATE {right} {statement.name} AS …")


def check_loop(select: Select, sinks: list[str], planned: Planned) -> None:
    """No query reads what it writes."""
    for source in planned.sources:
        if source.topic in sinks:
            raise SqlError(f"the query would read what it writes, topic {source.topic}", select.source.at)


def check_copartitioned(select: Select, planned: Planned) -> None:
    """Joined topics have as many partitions each: equal keys meet in partitions of equal number."""
    there = {source.topic: source.partitions for source in planned.together if source.partitions is not None}
    if len(set(there.values())) > 1:
        words = listed(f"{topic} has {count}" for topic, count in there.items())
        at = select.joins[0].source.at
        hint = "CREATE STREAM … WITH (PARTITIONS=…) AS SELECT … PARTITION BY makes a copy that fits"
        raise SqlError(f"joined topics need as many partitions each: {words}", at, hint)
