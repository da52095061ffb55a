"""simulate: lives of a cluster in virtual time, each from its seed."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.output import Mistake


def simulate(
    seed: Annotated[int | None, typer.Option("--seed", help="Tell this one, a line for each event.")] = None,
    seeds: Annotated[str, typer.Option("--seeds", metavar="A-B", help="Run all of these.")] = "",
    save: Annotated[bool, typer.Option("--save", help="Keep what failed in tests/transcripts.")] = False,
) -> int:
    """Lives of a cluster in virtual time, from seeds.

    The brokers' own code over virtual clocks, networks and disks, with faults, and every invariant after every step.
    Exit code 1 when one is broken. The same seed gives the same story.
    """
    from testing.place import make_importable

    make_importable()
    from chaos.simulate import main, seeds_of

    if seed is not None and seed < 0:
        raise Mistake(f"--seed {seed}: seeds are numbers from 0 on")
    if seed is not None and seeds:
        raise Mistake("--seed tells one, --seeds sums up many: choose one of them")
    try:
        seeds_of(seeds or "1")
    except ValueError as mistake:
        raise Mistake(str(mistake)) from None
    arguments = ["--seed", str(seed)] if seed is not None else ["--seeds", seeds or "1-20"]
    if save:
        arguments.append("--save")
    sys.stdout.flush()
    return main(arguments)
