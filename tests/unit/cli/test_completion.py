"""What a shell is told when somebody presses Tab."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def run(*arguments: str, **environment: str) -> str:
    command = [sys.executable, "odradek.py", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment})
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("odradek to", ["topic"]),
        ("odradek group re", ["reset-offsets"]),
        ("odradek topic a", ["alter", "add-partitions"]),
        ("odradek consume --comm", ["--committed"]),
    ],
)
def test_bash_is_told_what_may_follow(words: str, found: list[str]) -> None:
    position = str(len(words.split()) - 1)
    said = run(_ODRADEK_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=position)
    assert sorted(said.split()) == sorted(found)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    said = run("--show-completion", shell, _TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION="1")
    assert "odradek" in said and f"_ODRADEK_COMPLETE=complete_{shell}" in said
