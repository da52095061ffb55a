"""What expressions can call: one file per subject, all in one registry."""

from streams.sql.functions import collections, encodings, numbers, texts, times
from streams.sql.functions.registry import BUILT_IN, Function, Registry, function_of, marked_functions, udf

__all__ = [
    "BUILT_IN",
    "Function",
    "Registry",
    "collections",
    "encodings",
    "function_of",
    "marked_functions",
    "numbers",
    "texts",
    "times",
    "udf",
]
