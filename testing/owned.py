"""A supervisor that lives as long as somebody: the first lines of the child process that `processes.py` starts.

The owner is watched through its pidfd, which the kernel makes readable at any end of it, kill -9 included, whichever of
its threads started us. So a test run that is killed takes its clusters along.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import threading
import time
from importlib import import_module
from typing import NoReturn

EXIT_FAILED = 70


def main(launch: str, owner: int, arguments: list[str]) -> NoReturn:
    """Run `launch.main(arguments)` until it ends, or until process `owner` does (0: nobody's)."""
    if owner:
        threading.Thread(target=_end_with, args=(owner,), name="owner-watch", daemon=True).start()
    sys.exit(import_module(launch).main(arguments))


def _end_with(owner: int) -> None:
    try:
        descriptor = os.pidfd_open(owner)
    except ProcessLookupError:
        pass
    except (OSError, AttributeError):  # not Linux, or an old one
        while _is_there(owner):
            time.sleep(0.2)
    else:
        select.select([descriptor], [], [])
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5.0)
    os._exit(EXIT_FAILED)  # it hangs; the brokers end with their supervisor


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass
    return True
