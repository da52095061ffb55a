"""When the heap is trimmed: once after each burst, never during one."""

from __future__ import annotations

from actors.memory import MemoryReturn


def test_the_heap_is_trimmed_once_after_a_burst() -> None:
    frames = 0
    memory = MemoryReturn(lambda: frames)
    if memory._trim is None:
        memory._trim = lambda _: 0
    assert memory.round()
    assert not memory.round(), "nothing happened since"
    frames = 10
    assert not memory.round(), "there was traffic in this round"
    assert memory.round()
