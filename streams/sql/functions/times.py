"""Functions of TIMESTAMP (ms since 1970), DATE (days) and TIME (ms of the day)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from streams.sql.functions.registry import function
from streams.sql.time_patterns import formatter, parser

DAY_MS = 86_400_000
_UNITS_MS = {
    "MILLISECONDS": 1, "SECONDS": 1000, "MINUTES": 60_000, "HOURS": 3_600_000, "DAYS": DAY_MS, "WEEKS": 7 * DAY_MS,
}  # fmt: skip
UNITS = tuple(unit[: len(unit) - one] for unit in (*_UNITS_MS, "MONTHS", "YEARS") for one in (0, 1))
"""As they are written: DAYS, DAY, …"""


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def _moment(ms: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def _added(unit: str, count: int, ms: int) -> int:
    """Raises ValueError for an unknown unit."""
    unit = unit.upper().removesuffix("S") + "S"
    if unit in _UNITS_MS:
        return ms + count * _UNITS_MS[unit]
    if unit not in ("MONTHS", "YEARS"):
        raise ValueError(f"no unit {unit}")
    day = _moment(ms)
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "YEARS" else 1)
    year, month = divmod(months, 12)
    for last in (day.day, 30, 29, 28):  # the last day the month has
        try:
            moved = day.replace(year=year, month=month + 1, day=last)
        except ValueError:
            continue
        return ms + (moved - day) // timedelta(milliseconds=1)
    raise ValueError("no such month")


function("UNIX_TIMESTAMP", "-> BIGINT", "now, in ms")(now_ms)
function("UNIX_TIMESTAMP", "TIMESTAMP -> BIGINT", "a timestamp in ms")(lambda ms: ms)
function("UNIX_DATE", "-> INTEGER", "today, in days since 1970")(lambda: now_ms() // DAY_MS)
function("UNIX_DATE", "DATE -> INTEGER", "a date in days since 1970")(lambda days: days)
function("FROM_UNIXTIME", "BIGINT -> TIMESTAMP", "ms as a timestamp")(lambda ms: ms)
function("FROM_DAYS", "INTEGER -> DATE", "days since 1970 as a date")(lambda days: days)

_FORMAT = "in Java's pattern letters, in UTC or a time zone"
function("TIMESTAMPTOSTRING", "BIGINT, STRING, [STRING] -> STRING", f"ms as text, {_FORMAT}")(
    lambda ms, pattern, zone="UTC": formatter(pattern, zone)(ms)
)
function("FORMAT_TIMESTAMP", "TIMESTAMP, STRING, [STRING] -> STRING", f"a timestamp as text, {_FORMAT}")(
    lambda ms, pattern, zone="UTC": formatter(pattern, zone)(ms)
)
function("STRINGTOTIMESTAMP", "STRING, STRING, [STRING] -> BIGINT", f"text as ms, {_FORMAT}")(
    lambda text, pattern, zone="UTC": parser(pattern, zone)(text)
)
function("PARSE_TIMESTAMP", "STRING, STRING, [STRING] -> TIMESTAMP", f"text as a timestamp, {_FORMAT}")(
    lambda text, pattern, zone="UTC": parser(pattern, zone)(text)
)
function("FORMAT_DATE", "DATE, STRING -> STRING", "a date as text, in Java's pattern letters")(
    lambda days, pattern: formatter(pattern)(days * DAY_MS)
)
function("PARSE_DATE", "STRING, STRING -> DATE", "text as a date, in Java's pattern letters")(
    lambda text, pattern: parser(pattern)(text) // DAY_MS
)
function("DATETOSTRING", "INTEGER, STRING -> STRING", "days since 1970 as text")(
    lambda days, pattern: formatter(pattern)(days * DAY_MS)
)
function("STRINGTODATE", "STRING, STRING -> INTEGER", "text as days since 1970")(
    lambda text, pattern: parser(pattern)(text) // DAY_MS
)
function("FORMAT_TIME", "TIME, STRING -> STRING", "a time as text, in Java's pattern letters")(
    lambda ms, pattern: formatter(pattern)(ms)
)
function("PARSE_TIME", "STRING, STRING -> TIME", "text as a time, in Java's pattern letters")(
    lambda text, pattern: parser(pattern)(text) % DAY_MS
)
function("CONVERT_TZ", "TIMESTAMP, STRING, STRING -> TIMESTAMP", "from the clock of one time zone to another's")(
    lambda ms, here, there: parser("yyyy-MM-dd HH:mm:ss.SSS")(
        formatter("yyyy-MM-dd HH:mm:ss.SSS", there)(
            parser("yyyy-MM-dd HH:mm:ss.SSS", here)(formatter("yyyy-MM-dd HH:mm:ss.SSS")(ms))
        )
    )
)
function("TIMESTAMPADD", "UNIT, INTEGER, TIMESTAMP -> TIMESTAMP", "so many SECONDS, DAYS, … later")(_added)
function("TIMESTAMPSUB", "UNIT, INTEGER, TIMESTAMP -> TIMESTAMP", "so many SECONDS, DAYS, … earlier")(
    lambda unit, count, ms: _added(unit, -count, ms)
)
function("DATEADD", "UNIT, INTEGER, DATE -> DATE", "so many DAYS, MONTHS, … later")(
    lambda unit, count, days: _added(unit, count, days * DAY_MS) // DAY_MS
)
function("DATESUB", "UNIT, INTEGER, DATE -> DATE", "so many DAYS, MONTHS, … earlier")(
    lambda unit, count, days: _added(unit, -count, days * DAY_MS) // DAY_MS
)
function("TIMEADD", "UNIT, INTEGER, TIME -> TIME", "so many SECONDS, … later on the clock")(
    lambda unit, count, ms: _added(unit, count, ms) % DAY_MS
)
function("TIMESUB", "UNIT, INTEGER, TIME -> TIME", "so many SECONDS, … earlier on the clock")(
    lambda unit, count, ms: _added(unit, -count, ms) % DAY_MS
)
for _part in ("year", "month", "day", "hour", "minute", "second"):
    _name = _part.upper()
    function(_name, "TIMESTAMP -> INTEGER", f"the {_part}, in UTC")(lambda ms, part=_part: getattr(_moment(ms), part))
    if _part in ("year", "month", "day"):
        function(_name, "DATE -> INTEGER", f"the {_part}")(lambda d, part=_part: getattr(_moment(d * DAY_MS), part))
