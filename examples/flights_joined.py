"""Each flight with its aircraft, its airline's name and the weather at its hour: joins with three tables.

Planes are a table by tail number, as the flights are keyed; airlines are few, so a global table that every instance
has whole; the weather is a table by airport and hour, and the flights are sent through a repartition topic to meet it.
Event time decides: a flight meets the weather of its hour however the topics are fetched.

    python examples/flights_joined.py [localhost:9092] [--flights 5000]
"""

from __future__ import annotations

import sys
from collections import Counter

import msgspec
from common import a_producer, brokers_of, fresh, read_all, wait_for
from flights_data import Flight, Plane, Weather, airlines, flights, planes, weather
from rich.console import Console
from rich.live import Live
from rich.table import Table

from streams import STRING, JsonSerde, Streams, StreamsBuilder, Topology


class Seen(msgspec.Struct, frozen=True):
    """A flight and what is known around it."""

    flight: Flight
    plane: Plane | None = None
    airline: str | None = None
    weather: Weather | None = None


def joined(names: dict[str, str]) -> Topology:
    builder = StreamsBuilder()
    stream = builder.stream(names["flights"], key=STRING, value=JsonSerde(Flight))
    plane_of = builder.table(names["planes"], key=STRING, value=JsonSerde(Plane), store="planes")
    airline_of = builder.global_table(names["airlines"], key=STRING, value=STRING, store="airlines")
    weather_at = builder.table(names["weather"], key=STRING, value=JsonSerde(Weather), store="weather")
    with_plane = stream.left_join(plane_of, lambda flight, plane: Seen(flight, plane))
    with_airline = with_plane.left_join(
        airline_of,
        lambda seen, name: msgspec.structs.replace(seen, airline=name),
        key_selector=lambda _tail, seen: seen.flight.carrier,
    )
    by_hour = with_airline.select_key(lambda _tail, seen: f"{seen.flight.origin} {seen.flight.hour}")
    by_hour.repartition(name="by-hour", key=STRING, value=JsonSerde(Seen)).left_join(
        weather_at, lambda seen, found: msgspec.structs.replace(seen, weather=found)
    ).to(names["seen"], key=STRING, value=JsonSerde(Seen))
    return builder.build()


def send(bootstrap: str, names: dict[str, str], count: int) -> list[Seen]:
    """The tables, then the flights; what a plain loop joins."""
    some = list(flights(count))
    plane_of, airline_of = dict(planes()), dict(airlines())
    last = max(flight.scheduled_ms for flight in some)
    weather_at = {place: found for place, _, found in weather(last)}
    with a_producer(bootstrap) as producer:
        for tail, plane in plane_of.items():
            producer.send(names["planes"], msgspec.json.encode(plane), tail.encode(), timestamp_ms=0)
        for carrier, name in airline_of.items():
            producer.send(names["airlines"], name.encode(), carrier.encode(), timestamp_ms=0)
        for place, at, found in weather(last):
            producer.send(names["weather"], msgspec.json.encode(found), place.encode(), timestamp_ms=at - 1)
        producer.flush()
        for flight in some:
            value = msgspec.json.encode(flight)
            producer.send(names["flights"], value, flight.tail.encode(), timestamp_ms=flight.scheduled_ms)
    return [
        Seen(f, plane_of.get(f.tail), airline_of.get(f.carrier), weather_at.get(f"{f.origin} {f.hour}")) for f in some
    ]


def table_of(seen: list[Seen]) -> Table:
    table = Table(title=f"{len(seen):,} flights, delays over 15 minutes by what flew and how windy it was")
    for heading in ("manufacturer", "flights", "late", "late in wind over 15 mph"):
        table.add_column(heading, justify="left" if heading == "manufacturer" else "right")
    flown: Counter[str] = Counter()
    late: Counter[str] = Counter()
    windy: Counter[str] = Counter()
    for each in seen:
        maker = each.plane.manufacturer if each.plane is not None else "unknown"
        flown[maker] += 1
        if (each.flight.delay or 0) > 15:
            late[maker] += 1
            windy[maker] += each.weather is not None and (each.weather.wind_speed or 0) > 15
    for maker, number in flown.most_common(8):
        table.add_row(maker, str(number), str(late[maker]), str(windy[maker]))
    return table


def main(arguments: list[str]) -> None:
    count = int(arguments[arguments.index("--flights") + 1]) if "--flights" in arguments else 5_000
    given = [each for each in arguments[:1] if not each.startswith("--")]
    names = {name: fresh(name) for name in ("flights", "planes", "airlines", "weather", "seen")}
    with brokers_of(given) as brokers:
        brokers.create(*names.values())
        expected = send(brokers.bootstrap, names, count)
        app = Streams(joined(names), {
            "application_id": f"{names['seen']}-app", "bootstrap_servers": brokers.bootstrap,
        })  # fmt: skip
        app.start()
        found: list[Seen] = []
        with Live(console=Console(), refresh_per_second=4) as live:

            def look() -> bool:
                assert app.failure is None, app.failure
                records = read_all(brokers.bootstrap, names["seen"])
                found[:] = [msgspec.json.decode(record.value, type=Seen) for record in records]
                live.update(table_of(found))
                return len(found) >= count

            wait_for(look)
        app.close()
    assert Counter(map(msgspec.json.encode, found)) == Counter(map(msgspec.json.encode, expected))
    planes_known = sum(each.plane is not None for each in found)
    print(f"\nok: {count} flights joined, {planes_known} with their plane, each as a plain loop joins it")


if __name__ == "__main__":
    main(sys.argv[1:])
