"""Delays per carrier and hour of the 2013 flights, in event time: hours are those of the flights, not of the clock.

Flights come in the order in which they left, cancelled ones at the end of their day: up to a day late for their hour.
Windows of one hour with two days of grace take them all in. The table shows the hour that is on just now.

    python examples/flights_delays.py [localhost:9092] [--flights 40000]
"""

from __future__ import annotations

import sys
import threading
from collections import defaultdict
from datetime import UTC, datetime

import msgspec
from common import a_producer, brokers_of, fresh, wait_for
from flights_data import HOUR_MS, Flight, flights
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams import STRING, JsonSerde, Streams, StreamsBuilder, TimeWindows, Topology


class Delays(msgspec.Struct, frozen=True):
    flights: int = 0
    cancelled: int = 0
    minutes: int = 0
    worst: int = 0

    def plus(self, flight: Flight) -> Delays:
        if flight.delay is None:
            return Delays(self.flights + 1, self.cancelled + 1, self.minutes, self.worst)
        late = max(0, flight.delay)
        return Delays(self.flights + 1, self.cancelled, self.minutes + late, max(self.worst, late))


def delays_per_hour(source: str) -> Topology:
    builder = StreamsBuilder()
    stream = builder.stream(source, key=STRING, value=JsonSerde(Flight))
    hours = TimeWindows.of_size_and_grace(HOUR_MS, 48 * HOUR_MS)
    per_carrier = stream.group_by_key(key=STRING, value=JsonSerde(Flight))
    per_carrier.windowed_by(hours).aggregate(
        Delays,
        lambda _carrier, flight, so_far: so_far.plus(flight),
        store="delays",
        value=JsonSerde(Delays),
        retention=400 * 24 * HOUR_MS,  # to be looked at all year
    )
    return builder.build()


def send(bootstrap: str, topic: str, count: int) -> dict[tuple[str, int], Delays]:
    """Send them; what a plain loop makes of the same flights."""
    expected: dict[tuple[str, int], Delays] = defaultdict(Delays)
    with a_producer(bootstrap) as producer:
        for flight in flights(count):
            at = flight.scheduled_ms
            producer.send(topic, msgspec.json.encode(flight), flight.carrier.encode(), timestamp_ms=at)
            place = flight.carrier, at // HOUR_MS * HOUR_MS
            expected[place] = expected[place].plus(flight)
    return expected


def table_of(found: dict[tuple[str, int], Delays], hour: int) -> Table:
    when = f"{datetime.fromtimestamp(hour / 1000, UTC):%d %b %Y, %H:00 UTC}"
    table = Table(title=f"departures of {when}")
    for heading in ("carrier", "flights", "cancelled", "minutes late", "worst"):
        table.add_column(heading, justify="left" if heading == "carrier" else "right")
    for (carrier, start), delays in sorted(found.items()):
        if start == hour:
            table.add_row(carrier, *map(str, (delays.flights, delays.cancelled, delays.minutes, delays.worst)))
    return table


def main(arguments: list[str]) -> None:
    count = int(arguments[arguments.index("--flights") + 1]) if "--flights" in arguments else 40_000
    given = [each for each in arguments[:1] if not each.startswith("--")]
    topic = fresh("flights")
    console = Console()
    with brokers_of(given) as brokers:
        brokers.create(topic)
        app = Streams(delays_per_hour(topic), {
            "application_id": f"{topic}-app", "bootstrap_servers": brokers.bootstrap, "commit_interval_ms": 500,
        })  # fmt: skip
        app.start()
        expected: dict[tuple[str, int], Delays] = {}
        sender = threading.Thread(target=lambda: expected.update(send(brokers.bootstrap, topic, count)))
        sender.start()
        store = app.store("delays", timeout_s=60)
        with Live(console=console, refresh_per_second=4) as live:

            def look() -> bool:
                assert app.failure is None, app.failure
                found = {(key.key, key.start): delays for key, delays in store.all()}
                if found:
                    live.update(table_of(found, max(start for _, start in found)))
                return not sender.is_alive() and sum(each.flights for each in found.values()) >= count

            wait_for(look)
        sender.join()
        found = {(key.key, key.start): delays for key, delays in store.all()}
        app.close()
        assert found == expected, set(found.items()) ^ set(expected.items())
    print(f"\nok: {count} flights in {len(found)} windows of carrier and hour, as a plain loop has them")


if __name__ == "__main__":
    main(sys.argv[1:])
