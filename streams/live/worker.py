"""A worker process of an app: `python -m streams.live.worker FD`, started by workers.py only.

Standard input brings the topology; its end means that the parent is gone. FD takes news of us, one JSON line each.
"""

from __future__ import annotations

import os
import sys
import threading
import time

import cloudpickle  # type: ignore[import-untyped]
import msgspec

from streams.live.app import Streams
from streams.live.workers import News


def main() -> int:
    length = int.from_bytes(sys.stdin.buffer.read(8), "big")
    topology, config = cloudpickle.loads(sys.stdin.buffer.read(length))
    news = os.fdopen(int(sys.argv[1]), "wb", buffering=0)
    app = Streams(topology, config)
    said = News()

    def tell(fresh: News) -> None:
        nonlocal said
        if fresh != said:
            said = fresh
            news.write(msgspec.json.encode(fresh) + b"\n")

    def end_with_parent() -> None:
        while os.read(0, 4096):  # not through sys.stdin, which the interpreter wants to lock when it ends
            pass
        app.close(timeout_s=0)
        time.sleep(10.0)
        os._exit(1)

    def report() -> None:
        while app.state not in ("closed", "error"):
            tell(News(app.endpoint, app.state))
            time.sleep(0.05)

    threading.Thread(target=end_with_parent, daemon=True).start()
    threading.Thread(target=report, daemon=True).start()
    try:
        app.run()
    except Exception as error:
        tell(News(app.endpoint, "error", f"{type(error).__name__}: {error}"))
        raise
    return 0


if __name__ == "__main__":
    sys.exit(main())
