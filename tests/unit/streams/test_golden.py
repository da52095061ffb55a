"""43 topologies recorded from Kafka Streams 4.3.1: every step's outputs, the stores, the changelogs byte for byte."""

from __future__ import annotations

import pytest
from streams_cases import CASES
from streams_runner import load, play

GOLDEN = load("streams_golden.json")


def test_every_golden_case_has_its_topology_in_python() -> None:
    assert set(GOLDEN) == set(CASES)


@pytest.mark.parametrize("store_kind", ["in_memory", "persistent"])
@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_golden(name: str, store_kind: str) -> None:
    play(GOLDEN[name], CASES[name], store_kind)
