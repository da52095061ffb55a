"""Java's date patterns (`yyyy-MM-dd'T'HH:mm:ss.SSSX`) as functions between text and ms since 1970."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PIECE = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_NUMBERS = {"y": "year", "u": "year", "M": "month", "L": "month", "d": "day", "H": "hour", "h": "hour", "m": "minute",
            "s": "second", "S": "fraction", "D": "yearday", "k": "hour", "K": "hour"}  # fmt: skip
_ISO = {
    "TIMESTAMP": re.compile(
        r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d)(?::(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?)?)?)?\s*(Z|[+-]\d\d:?\d\d)?"
    ),
    "DATE": re.compile(r"(\d{4})-(\d\d)-(\d\d)"),
    "TIME": re.compile(r"(\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"),
}


def zone_of(name: str) -> tzinfo:
    """UTC, an offset such as +02:00, or a name such as Europe/Paris. Raises ValueError for others."""
    if name.upper() in ("UTC", "GMT", "Z"):
        return UTC
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d\d?):?(\d\d)?", name)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return timezone(timedelta(minutes=-minutes if offset[1] == "-" else minutes))
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"no time zone {name}") from None


def _pieces(pattern: str) -> list[tuple[str, str]]:
    """(letters, "") and ("", literal text) in turn. Raises ValueError for letters we don't know."""
    found, at = [], 0
    while at < len(pattern):
        match = _PIECE.match(pattern, at)
        if match is None:
            raise ValueError(f"pattern {pattern!r}: a quote never ends")
        text = match.group()
        if match[1] is not None:
            found.append(("", match[1].replace("''", "'") or "'"))
        elif match[2]:
            if match[2] not in _NUMBERS and match[2] not in "aEXxZzVn":
                raise ValueError(f"pattern {pattern!r}: letter {match[2]} means nothing")
            found.append((text, ""))
        else:
            found.append(("", text))
        at = match.end()
    return found


@lru_cache(256)
def formatter(pattern: str, zone: str = "UTC") -> Callable[[int], str]:
    """ms to text. Raises ValueError for a bad pattern or zone."""
    pieces, place = _pieces(pattern), zone_of(zone)

    def write(ms: int) -> str:
        moment = (_EPOCH + timedelta(milliseconds=ms)).astimezone(place)
        return "".join(literal or _written(letters, moment) for letters, literal in pieces)

    return write


def _written(letters: str, moment: datetime) -> str:
    letter, width = letters[0], len(letters)
    if letter in "yu":
        return f"{moment.year % 100:02d}" if width == 2 else f"{moment.year:0{width}d}"
    if letter in "ML" and width >= 3:
        name = _MONTHS[moment.month - 1]
        return name[:3] if width == 3 else name
    if letter == "E":
        name = _DAYS[moment.weekday()]
        return name[:3] if width <= 3 else name
    if letter == "a":
        return "AM" if moment.hour < 12 else "PM"
    if letter in "Ss" and letter == "S":
        return f"{moment.microsecond:06d}000"[:width].ljust(width, "0")
    if letter in "XxZzV":
        return _offset_text(letter, width, moment)
    numbers = {
        "M": moment.month, "L": moment.month, "d": moment.day, "H": moment.hour, "h": moment.hour % 12 or 12,
        "k": moment.hour or 24, "K": moment.hour % 12, "m": moment.minute, "s": moment.second,
        "D": moment.timetuple().tm_yday, "n": moment.microsecond * 1000,
    }  # fmt: skip
    return f"{numbers[letter]:0{width}d}"


def _offset_text(letter: str, width: int, moment: datetime) -> str:
    minutes = (moment.utcoffset() or timedelta()) // timedelta(minutes=1)
    if letter == "X" and minutes == 0:
        return "Z"
    if letter in "zV":
        return moment.tzname() or "UTC"
    sign, minutes = ("-", -minutes) if minutes < 0 else ("+", minutes)
    hours, rest = divmod(minutes, 60)
    if letter in "Xx" and width == 1:
        return f"{sign}{hours:02d}" + (f"{rest:02d}" if rest else "")
    return f"{sign}{hours:02d}{':' if letter in 'Xx' and width >= 3 else ''}{rest:02d}"


@lru_cache(256)
def parser(pattern: str, zone: str = "UTC") -> Callable[[str], int]:
    """Text to ms. The function raises ValueError for text that doesn't fit; this one for a bad pattern or zone."""
    pieces, place = _pieces(pattern), zone_of(zone)
    groups: list[str] = []
    parts = []
    for index, (letters, literal) in enumerate(pieces):
        if literal:
            parts.append(re.escape(literal))
            continue
        groups.append(letters)
        is_number_next = index + 1 < len(pieces) and pieces[index + 1][0][:1] in _NUMBERS
        parts.append(_reading(letters, is_number_next))
    expression = re.compile("".join(parts), re.IGNORECASE)

    def read(text: str) -> int:
        match = expression.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not written as {pattern}")
        return _moment_of(dict(zip(groups, match.groups(), strict=True)), place)

    return read


def _reading(letters: str, is_number_next: bool) -> str:
    letter, width = letters[0], len(letters)
    if (letter in "ML" and width >= 3) or letter == "E":
        names = _DAYS if letter == "E" else _MONTHS
        return f"({'|'.join(name if width > 3 else name[:3] for name in names)})"
    if letter == "a":
        return "(AM|PM)"
    if letter in "XxZ":
        return r"(Z|[+-]\d\d:?(?:\d\d)?)"
    if letter in "zV":
        return r"([A-Za-z/_+:\d-]+)"
    if letter == "S" or is_number_next:
        return rf"(\d{{{width}}})"
    return rf"(\d{{{width if width > 1 else 1},}})" if letter in "yu" and width != 2 else rf"(\d{{1,{max(width, 2)}}})"


def _moment_of(found: dict[str, str], place: tzinfo) -> int:
    part = {"year": 1970, "month": 1, "day": 1, "hour": 0, "minute": 0, "second": 0}
    micros, is_afternoon, yearday = 0, None, None
    for letters, text in found.items():
        letter = letters[0]
        if letter in "ML" and len(letters) >= 3:
            part["month"] = next(n for n, name in enumerate(_MONTHS, 1) if name[:3].lower() == text[:3].lower())
        elif letter == "a":
            is_afternoon = text.upper() == "PM"
        elif letter == "S":
            micros = int(text.ljust(6, "0")[:6])
        elif letter == "D":
            yearday = int(text)
        elif letter in "XxZzV":
            place = zone_of(text)
        elif letter in _NUMBERS:
            number = int(text)
            part[_NUMBERS[letter]] = 2000 + number if letter in "yu" and len(letters) == 2 else number
    if is_afternoon is not None:
        part["hour"] = part["hour"] % 12 + (12 if is_afternoon else 0)
    moment = datetime(**part, microsecond=micros, tzinfo=place)
    if yearday is not None:
        moment = moment.replace(month=1, day=1) + timedelta(days=yearday - 1)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def parse_iso(kind: str, text: str) -> int:
    """A TIMESTAMP (ms), DATE (days) or TIME (ms of the day) as people write it. Raises ValueError."""
    match = _ISO[kind].fullmatch(text.strip())
    if match is None:
        example = {"TIMESTAMP": "2013-01-31T12:00:00", "DATE": "2013-01-31", "TIME": "12:00:00"}[kind]
        raise ValueError(f"{text!r} is no {kind}: write it as {example}")
    numbers = match.groups()
    if kind == "TIME":
        hour, minute, second, fraction = numbers
        seconds = (int(hour) * 60 + int(minute)) * 60 + int(second or 0)
        return seconds * 1000 + int((fraction or "0").ljust(3, "0")[:3])
    year, month, day = (int(number or 1) for number in numbers[:3])
    if kind == "DATE":
        return (datetime(year, month, day, tzinfo=UTC) - _EPOCH).days
    hour, minute, second = (int(number or 0) for number in numbers[3:6])
    micros = int((numbers[6] or "0").ljust(6, "0")[:6])
    moment = datetime(year, month, day, hour, minute, second, micros, zone_of(numbers[7]) if numbers[7] else UTC)
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def iso(kind: str, value: int) -> str:
    """The reverse, for people."""
    if kind == "DATE":
        return formatter("yyyy-MM-dd")(value * 86_400_000)
    return formatter("yyyy-MM-dd'T'HH:mm:ss.SSS" if kind == "TIMESTAMP" else "HH:mm:ss.SSS")(value)
