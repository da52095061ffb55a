"""Settings that lose data must be seen to lose it, and their safe twins lose nothing to the same kills."""

from __future__ import annotations

import pytest

from chaos.negative_controls import CONTROLS, run_until_told

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


IN_MAKE_TEST = ("acks=all", "acks=1")


@pytest.mark.parametrize(
    "name", [name if name in IN_MAKE_TEST else pytest.param(name, marks=pytest.mark.long) for name in CONTROLS]
)
def test_what_may_lose_writes_does_and_what_may_not_does_not(name: str) -> None:
    outcome = run_until_told(CONTROLS[name], rounds=1)
    assert outcome.is_as_expected, f"{outcome}\n{outcome.verdict.table()}"
    assert outcome.verdict.stats["acked"] > 200


def test_every_wrong_setting_has_a_safe_twin() -> None:
    twins = {(control.schedule, control.replication) for control in CONTROLS.values() if control.is_safe}
    assert {(control.schedule, control.replication) for control in CONTROLS.values()} == twins
