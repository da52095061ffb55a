"""SQL over streams: ksqlDB's statements, on this library's builder. See engine.py."""

from streams.sql.driver import SqlTestDriver
from streams.sql.engine import SqlEngine
from streams.sql.errors import SqlError
from streams.sql.functions.registry import udf
from streams.sql.results import PushResult, Result

__all__ = ["PushResult", "Result", "SqlEngine", "SqlError", "SqlTestDriver", "udf"]
