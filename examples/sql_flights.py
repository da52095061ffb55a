"""Delays per carrier and hour in SQL, live: the statements of sql_flights.sql while a broker is killed.

What the table says in the end is what a plain loop over the same flights says.

    python examples/sql_flights.py [localhost:9092] [--flights 20000]
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from common import brokers_of, fresh, wait_for
from flights_data import airlines
from flights_delays import send

from streams.sql import SqlEngine

STATEMENTS = Path(__file__).with_name("sql_flights.sql")


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def main(arguments: list[str]) -> None:
    count = int(arguments[arguments.index("--flights") + 1]) if "--flights" in arguments else 20_000
    given = [each for each in arguments[:1] if not each.startswith("--")]
    with brokers_of(given) as brokers, SqlEngine(brokers.bootstrap, service=fresh("flights")) as engine:

        def rows(statement: str) -> list[tuple[Any, ...]]:
            return engine.execute(statement)[-1].rows

        for result in engine.execute(STATEMENTS.read_text()):
            print(result.message)
        # Joins go by event time: a name counts for flights that are later than the name itself.
        names = ", ".join(f"(0, {quoted(carrier)}, {quoted(name)})" for carrier, name in airlines())
        engine.execute(f"INSERT INTO airlines (ROWTIME, carrier, name) VALUES {names}")
        expected = {
            (carrier, hour): (each.flights, each.cancelled, each.minutes)
            for (carrier, hour), each in send(brokers.bootstrap, "flights", count).items()
        }
        print(f"{count} flights of {len(expected)} carriers and hours are sent; {brokers.kill_leader('flights')}")

        def found() -> dict[tuple[str, int], tuple[int, int, int]]:
            asked = rows("SELECT carrier, WINDOWSTART, flights, cancelled, minutes FROM delays")
            return {(carrier, hour): (flights, cancelled, late) for carrier, hour, flights, cancelled, late in asked}

        wait_for(lambda: sum(flights for flights, _, _ in found().values()) >= count)
        assert found() == expected
        latest = rows("SELECT airline, TIMESTAMPTOSTRING(WINDOWSTART, 'd MMM HH:mm') AS hour, flights, minutes"
                      " FROM delays WHERE carrier = 'UA'")[-3:]  # fmt: skip
        for airline, hour, flights, minutes in latest:
            print(f"{airline}, {hour}: {flights} flights, {minutes} minutes late")
        assert latest[-1][0] == dict(airlines())["UA"]
    print(f"ok: {len(expected)} carriers and hours as counted by a plain loop, one broker killed")


if __name__ == "__main__":
    main(sys.argv[1:])
