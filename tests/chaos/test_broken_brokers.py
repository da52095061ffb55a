"""Brokers with a mistake in them: the histories of their clients show it, each by its kind of anomaly."""

from __future__ import annotations

import pytest

from chaos.broken_brokers import BROKEN, run_until_found

pytestmark = [pytest.mark.cluster, pytest.mark.long]


@pytest.mark.parametrize("name", BROKEN)
def test_the_mistake_shows(name: str) -> None:
    is_found, verdict = run_until_found(name)
    assert is_found, verdict.table()
