"""The topologies of the golden files in Python, by name: CASES of streams_golden.json, EXTRA_CASES of the other one."""

# ruff: noqa: F401
from __future__ import annotations

import streams_graph_cases
import streams_join_cases
import streams_processor_cases
import streams_table_cases
import streams_window_cases
from streams_case import CASES, EXTRA_CASES

__all__ = ["CASES", "EXTRA_CASES"]
