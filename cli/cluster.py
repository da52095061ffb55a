"""up, down, status: a cluster on this machine, or what any cluster says of itself."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from cli.options import DEFAULT_BOOTSTRAP, NOTHING, Bootstrap, DataDir, Json, Sets, admin_of
from cli.output import Failed, Mistake, document, fields, table

PROG = "odradek up"
FOLDER, BOOTSTRAP = "ODRADEK_DATA_DIR", "ODRADEK_BOOTSTRAP"
_STOP_S = 15.0
_START_S = 30.0


def up(context: typer.Context) -> int:
    """Start a cluster here and stay; Ctrl-C stops it. Options are run_cluster.py's (--brokers, --port, --data-dir…).

    $ODRADEK_DATA_DIR stands for --data-dir.

    --detach: come back once it is ready; `odradek down` ends it. With --json it says where in JSON.
    """
    from testing.place import make_importable

    make_importable()
    arguments = list(context.args)
    as_json = "--json" in arguments
    if as_json:
        arguments.remove("--json")
    if FOLDER in os.environ and not _names_a_folder(arguments):
        arguments += ["--data-dir", os.environ[FOLDER]]
    if "--detach" in arguments or "-d" in arguments:
        return _detached([each for each in arguments if each not in ("--detach", "-d")], as_json=as_json)
    if as_json:
        raise Mistake("--json needs --detach", "what a cluster in the foreground prints is for people")
    from actors.launch import main

    if "--help" in arguments:
        print("--detach              come back once the cluster is ready; `odradek down` ends it")
        print("--json                with --detach: say in JSON where it is")
    return main(arguments, PROG)


def _detached(arguments: list[str], *, as_json: bool) -> int:
    if not _names_a_folder(arguments):
        arguments += ["--data-dir", tempfile.mkdtemp(prefix="odradek-data-")]
    from testing.place import room, search_path

    boot = f"import sys; sys.path[:] = {search_path()!r}; from {room('actors.launch')} import main; "
    log_path = Path(tempfile.mkstemp(prefix="odradek-", suffix=".out")[1])
    with open(log_path, "wb") as log:
        child = subprocess.Popen(
            [sys.executable, "-S", "-c", f"{boot}sys.exit(main({arguments!r}, {PROG!r}))"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline:
        said = log_path.read_text(errors="replace")
        if "ready bootstrap=" in said:
            line = said[said.index("ready bootstrap=") :].splitlines()[0]
            if as_json:
                data_dir = _option(arguments, "--data-dir")
                state = _state(Path(data_dir))
                document({"bootstrap": state["bootstrap"], "data_dir": data_dir, "cluster_id": state["cluster_id"],
                          "supervisor_pid": state["supervisor_pid"]})  # fmt: skip
            else:
                print(line)
            return 0
        code = child.poll()
        if code is not None:
            sys.stderr.write(said)
            return code
        time.sleep(0.01)
    child.terminate()
    raise Failed(f"the cluster was not ready after {_START_S:g} s", f"look into {log_path}")


def _names_a_folder(arguments: list[str]) -> bool:
    return any(each.split("=")[0] == "--data-dir" for each in arguments)


def _option(arguments: list[str], name: str) -> str:
    """The last one counts; as `--name value` or `--name=value`."""
    found = ""
    for each, following in zip(arguments, [*arguments[1:], ""], strict=True):
        if each == name:
            found = following
        elif each.startswith(f"{name}="):
            found = each.partition("=")[2]
    return found


def down(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Stop a cluster of this machine.

    The one of --data-dir; without it, the only one that has a temporary folder.
    """
    found = [data_dir] if data_dir is not None else running_temporary()
    if not found:
        raise Failed("no cluster with a temporary folder runs here", "name its folder with --data-dir")
    if len(found) > 1:
        raise Mistake(f"several clusters run: {', '.join(map(str, found))}", "choose one with --data-dir")
    state = _state(found[0])
    pid = state.get("supervisor_pid")
    if not pid or not _is_supervisor(pid, found[0]):
        raise Failed(f"the cluster in {found[0]} is not running")
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + _STOP_S
    while _is_alive(pid):
        if time.monotonic() > deadline:
            late = f"supervisor {pid} has not ended after {_STOP_S:g} s"
            raise Failed(late, f"kill -9 {pid} ends it with its brokers")
        time.sleep(0.01)
    if as_json:
        document({"stopped": str(found[0]), "supervisor_pid": pid})
    else:
        print(f"stopped {state.get('bootstrap', '')}")


def status(
    bootstrap: Bootstrap = DEFAULT_BOOTSTRAP, sets: Sets = NOTHING, data_dir: DataDir = None, as_json: Json = False
) -> int:
    """Brokers, controller, and what is wrong.

    Exit code 1 when a partition has no leader or lacks in-sync replicas.
    """
    local = _state(data_dir) if data_dir is not None else {}
    with admin_of(local.get("bootstrap") or bootstrap, sets) as admin:
        cluster = admin.describe_cluster()
        topics = admin.describe_topics()
    led = dict.fromkeys((broker.id for broker in cluster.brokers), 0)
    leaderless, behind = [], []
    for topic in topics.values():
        for partition in topic.partitions:
            name = f"{topic.name}-{partition.partition}"
            if partition.leader < 0:
                leaderless.append(name)
            else:
                led[partition.leader] = led.get(partition.leader, 0) + 1
            if set(partition.isr) < set(partition.replicas):
                behind.append(name)
    rows = {int(row["id"]): row for row in local.get("brokers", [])}
    if as_json:
        document({
            "cluster_id": cluster.cluster_id, "controller": cluster.controller_id,
            "brokers": [{**broker._asdict(), "leads": led[broker.id], **_local(rows, broker.id)}
                        for broker in cluster.brokers],
            "topics": sum(not topic.is_internal for topic in topics.values()), "partitions": sum(led.values()),
            "without_leader": leaderless, "under_replicated": behind,
        })  # fmt: skip
    else:
        fields([("cluster", cluster.cluster_id), ("controller", cluster.controller_id), ("topics", len(topics)),
                ("partitions", sum(led.values()) + len(leaderless)),
                ("without leader", " ".join(leaderless) or "none"),
                ("under-replicated", " ".join(behind) or "none")])  # fmt: skip
        print()
        more = ("PID", "RESTARTS") if rows else ()
        table(("BROKER", "ADDRESS", "RACK", "LEADS", *more),
              [(broker.id, f"{broker.host}:{broker.port}", broker.rack, led[broker.id],
                *_local(rows, broker.id).values()) for broker in cluster.brokers])  # fmt: skip
    return 1 if leaderless or behind else 0


def _local(rows: dict[int, dict[str, Any]], broker_id: int) -> dict[str, Any]:
    row = rows.get(broker_id)
    return {} if row is None else {"pid": row["pid"], "restarts": row["restarts"]}


def _state(data_dir: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads((data_dir / "cluster.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise Mistake(f"{data_dir} holds no cluster.json", "name the folder that `odradek up` was given") from None
    except ValueError:
        raise Failed(f"{data_dir / 'cluster.json'} is not to be read as JSON") from None
    return found


@contextlib.contextmanager
def found_by_its_folder() -> Iterator[None]:
    """Who says with ODRADEK_DATA_DIR which cluster is meant need not say with ODRADEK_BOOTSTRAP where it listens."""
    folder = os.environ.get(FOLDER)
    if not folder or BOOTSTRAP in os.environ:
        yield
        return
    with contextlib.suppress(Failed, OSError, KeyError):  # no cluster yet, or none that says so: the default holds
        os.environ[BOOTSTRAP] = _state(Path(folder))["bootstrap"]
    try:
        yield
    finally:
        os.environ.pop(BOOTSTRAP, None)


def running_temporary() -> list[Path]:
    """The data folders of running clusters that were started without one."""
    found = []
    for file in Path(tempfile.gettempdir()).glob("odradek-data-*/cluster.json"):
        try:
            pid = _state(file.parent).get("supervisor_pid")
        except (Failed, OSError):
            continue
        if pid and _is_supervisor(pid, file.parent):
            found.append(file.parent)
    return sorted(found)


def _is_supervisor(pid: int, data_dir: Path) -> bool:
    from testing.processes import is_supervisor

    return is_supervisor(pid, data_dir)


def _is_alive(pid: int) -> bool:
    from testing.processes import is_alive

    return is_alive(pid)


