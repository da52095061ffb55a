"""The SQL files of examples/ on the test driver."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from streams.sql import SqlTestDriver

EXAMPLES = Path(__file__).parents[4] / "examples"
HOUR_MS = 3_600_000


def test_the_word_count_of_every_lecture() -> None:
    with SqlTestDriver() as sql:
        rows = sql.rows((EXAMPLES / "sql_word_count.sql").read_text())
    assert rows == [("a", 1), ("a", 2), ("b", 1), ("c", 1), ("b", 2), ("a", 3), ("a", 4), ("d", 1), ("c", 2)]


def test_delays_per_carrier_and_hour_are_those_of_a_plain_loop() -> None:
    chance = random.Random(7)
    expected: dict[tuple[str, int], list[Any]] = {}
    with SqlTestDriver() as sql:
        sql.execute((EXAMPLES / "sql_flights.sql").read_text())
        sql.execute("INSERT INTO airlines VALUES ('UA', 'United'), ('B6', 'JetBlue')")
        for number in range(2000):
            carrier, delay = chance.choice(["UA", "B6", "XX"]), chance.choice([None, *range(-20, 90)])
            at = number * 120_000 + chance.randrange(HOUR_MS)
            row = {"carrier": carrier, "number": number, "origin": "JFK", "delay": delay}
            sql.insert("flights", [row], timestamp=at)
            name = {"UA": "United", "B6": "JetBlue"}.get(carrier)
            counts = expected.setdefault((carrier, at // HOUR_MS * HOUR_MS), [name, 0, 0, 0, None])
            counts[1] += 1
            counts[2] += delay is None
            counts[3] += max(0, delay or 0)
            if delay is not None:
                counts[4] = delay if counts[4] is None else max(counts[4], delay)
        found = sql.rows("SELECT carrier, WINDOWSTART, airline, flights, cancelled, minutes, worst FROM delays")
    assert {(row[0], row[1]): list(row[2:]) for row in found} == expected
