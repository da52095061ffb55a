"""The files of lifelines: a killed process leaves its own behind, and its next life takes it away."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from transport.lifeline import Lifelines


def test_the_sockets_of_earlier_lives_are_removed_and_nobody_elses(tmp_path: Path) -> None:
    seen: list[list[str]] = []

    async def scenario() -> None:
        lifelines = Lifelines(2, 9, tmp_path, lambda *_: None)
        lifelines.start()
        seen.append(sorted(os.listdir(tmp_path)))
        lifelines.close()
        seen.append(sorted(os.listdir(tmp_path)))

    for name in ("life-2.7", "life-2.8", "life-1.3", "life-22.1"):
        (tmp_path / name).touch()
    asyncio.run(scenario())
    assert seen == [["life-1.3", "life-2.9", "life-22.1"], ["life-1.3", "life-22.1"]]
