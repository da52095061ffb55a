"""More topologies recorded from Kafka Streams 4.3.1, mostly fed with random records: late, null, out of order."""

from __future__ import annotations

import pytest
from streams_cases import EXTRA_CASES
from streams_found_cases import FOUND_CASES
from streams_runner import load, play

GOLDEN = load("streams_extra_golden.json")
CASES = {**EXTRA_CASES, **FOUND_CASES}


def test_every_extra_case_has_its_topology_in_python() -> None:
    assert set(GOLDEN) == set(CASES)


@pytest.mark.parametrize("store_kind", ["in_memory", "persistent"])
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_extra_golden(name: str, store_kind: str) -> None:
    play(GOLDEN[name], CASES[name], store_kind)
