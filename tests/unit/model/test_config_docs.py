from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_docs_configs_md_is_what_the_rows_say() -> None:
    checked = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "config_docs.py"), "--check"], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
