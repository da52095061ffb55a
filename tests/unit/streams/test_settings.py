"""Settings of an app, as users write them."""

from __future__ import annotations

import pytest

from model.errors import ConfigError
from streams.live.settings import split_settings


def test_numbers_may_come_as_text_as_java_writes_them() -> None:
    tasks, app = split_settings({"commit.interval.ms": "100", "max.task.idle.ms": "5", "processes": 2})
    assert (app.commit_interval_s, tasks.max_task_idle_ms, app.processes) == (0.1, 5, 2)


@pytest.mark.parametrize("name", ["commit.interval.ms", "max.task.idle.ms"])
def test_what_is_no_number_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name.replace('.', '_')} is a whole number, not 'soon'"):
        split_settings({name: "soon"})
