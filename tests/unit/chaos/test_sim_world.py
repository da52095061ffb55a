"""The simulated world's loops: what becomes of the work of a process that dies."""

from __future__ import annotations

import asyncio
import gc
import warnings
from random import Random
from types import SimpleNamespace

from chaos.sim_world import Clock, VirtualLoop, World


def a_loop() -> VirtualLoop:
    world = World(seed=1)
    process = SimpleNamespace(is_dead=False)
    return VirtualLoop(world, process, Clock(world, 0.0, 0.0), Random(1))  # type: ignore[abstract, arg-type]


async def _noted(steps: list[str], until: asyncio.Future[None]) -> None:
    steps.append("begun")
    await until
    steps.append("ended")


def test_a_task_that_had_not_begun_when_its_process_died_leaves_no_warning() -> None:
    loop, steps = a_loop(), list[str]()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        task = loop.create_task(_noted(steps, loop.create_future()))
        loop.end()
        assert not loop.ready
        del task
        gc.collect()
    assert [str(warning.message) for warning in seen] == []
    assert steps == []


def test_a_task_that_waits_when_its_process_dies_never_goes_on() -> None:
    loop, steps = a_loop(), list[str]()
    waited = loop.create_future()
    task = loop.create_task(_noted(steps, waited))
    loop.drain()
    waited.set_result(None)  # its next step is ready
    loop.end()
    loop.drain()
    assert steps == ["begun"]
    assert not task.done()
