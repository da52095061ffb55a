"""Golden dialogues with the command: `$ odradek …`, and what it said. ODRADEK_REWRITE=1 writes them anew."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from unittest import mock

from cli.main import main

TRANSCRIPTS = Path(__file__).parents[1] / "transcripts"


def odradek(*arguments: str, stdin: bytes = b"") -> tuple[int, str, str]:
    """Run the command in this process: exit code, stdout, stderr."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    with (
        mock.patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin))),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = main(arguments)
    return code, *(stream.buffer.getvalue().decode() for stream in (out, err))  # type: ignore[attr-defined]


def run_line(command: str) -> tuple[int, str, str]:
    """`odradek …`, or `printf '…' | odradek …`, as in a shell."""
    stdin = b""
    words = shlex.split(command)
    if "|" in words:
        stdin = words[1].replace("\\n", "\n").encode()
        words = words[words.index("|") + 1 :]
    return odradek(*words[1:], stdin=stdin)


def replay(name: str, plain: Callable[[str], str]) -> None:
    """Run every command of a transcript and compare. `plain` takes out what differs from run to run."""
    path = TRANSCRIPTS / name
    expected = path.read_text(encoding="utf-8")
    said = "".join(_answer(command, plain) for command in re.findall(r"^\$ (.*)$", expected, re.MULTILINE))
    if os.environ.get("ODRADEK_REWRITE"):
        path.write_text(said, encoding="utf-8")
        return
    differences = difflib.unified_diff(expected.splitlines(), said.splitlines(), name, "said", lineterm="")
    assert said == expected, "\n".join(differences)


def _answer(command: str, plain: Callable[[str], str]) -> str:
    code, out, err = run_line(command)
    text = plain(out + err)
    if text and not text.endswith("\n"):
        text += "\n"
    return f"$ {command}\n{text}{f'[exit {code}]' + chr(10) if code else ''}\n"
