"""From the command line to a running cluster and back: what `run_cluster.py` does.

The broker processes are spawned before anything else is looked at, and import while the options are checked; they do
nothing until they get their spec. A mistake of the user ends them again: one line, exit 2.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from actors.broker_spawn import Child, spawn
from actors.broker_spec import DEFAULT_BROKER_CLASS
from model.errors import ConfigError

if TYPE_CHECKING:
    import socket

    from actors.cluster_directory import ClusterDirectory, RunDirectory

PROG = "run_cluster.py"
EXIT_MISTAKE = 2
EXIT_INTERRUPTED = 130
LOG_LEVELS = ("debug", "info", "warning", "error")
# what the command line decides, and the option for it
OWNED_CONFIGS = {
    "broker.id": "--brokers",
    "node.id": "--brokers",
    "process.roles": "--brokers",
    "log.dir": "--data-dir",
    "log.dirs": "--data-dir",
    "metadata.log.dir": "--data-dir",
    "listeners": "--host and --port",
    "port": "--port",
    "host.name": "--host",
    "controller.quorum.voters": "--brokers",
    "zookeeper.connect": "--brokers",
}


@dataclass(slots=True)
class Options:
    brokers: int
    port: int
    host: str
    data_dir: Path | None
    settings: list[str]
    config: Path | None
    restarts: bool
    restarts_per_minute: int
    log_level: str
    broker_class: str


@dataclass(slots=True)
class Ground:
    """What is taken before brokers may run, and given back at the end."""

    directory: ClusterDirectory
    run: RunDirectory
    overrides: dict[str, str]
    reserved: list[socket.socket] = field(default_factory=list)

    def close(self) -> None:
        for port in self.reserved:
            port.close()
        self.run.close()
        self.directory.close()


class OneLineParser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(EXIT_MISTAKE, f"{self.prog}: {message} (--help explains the options)\n")


def parse(arguments: Sequence[str], prog: str = PROG) -> Options:
    parser = OneLineParser(
        prog=prog,
        description="Start a Kafka-compatible cluster on this machine and keep it alive. Ctrl-C stops it in order.",
        epilog="DATA_DIR/cluster.json always says which broker runs where; DATA_DIR/logs/ has a log per broker.",
    )
    add = parser.add_argument
    add("--brokers", type=int, default=3, metavar="N", help="number of brokers (default: 3)")
    add(
        "--port",
        type=int,
        default=9092,
        metavar="FIRST",
        help="port of broker 1, the others follow it; 0: any free ones (default: 9092)",
    )
    add("--host", default="127.0.0.1", help="address to listen on and to tell clients (default: 127.0.0.1)")
    add("--data-dir", type=Path, help="where everything is kept (default: a temporary directory, removed at exit)")
    add(
        "--set",
        dest="settings",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any Kafka broker config, e.g. default.replication.factor=3; may be repeated, wins over --config",
    )
    add("--config", type=Path, metavar="FILE", help="broker configs in Kafka's server.properties format")
    add("--no-restart", dest="restarts", action="store_false", help="let dead brokers rest instead of restarting them")
    add(
        "--restarts-per-minute",
        type=int,
        default=20,
        metavar="N",
        help="a broker that dies more often than this stays down (default: 20)",
    )
    add(
        "--log-level",
        choices=LOG_LEVELS,
        default="warning",
        help="from which level on brokers also log to stderr (default: warning; their log files start at info)",
    )
    add("--broker-class", default=DEFAULT_BROKER_CLASS, help=argparse.SUPPRESS)
    options = Options(**vars(parser.parse_args(arguments)))
    if options.brokers < 1:
        parser.error(f"--brokers {options.brokers}: a cluster has at least 1 broker")
    if not 0 <= options.port <= 65_536 - options.brokers:
        parser.error(f"--port {options.port}: {options.brokers} ports from there on don't exist")
    return options


def read_overrides(options: Options) -> dict[str, str]:
    """The brokers' configs, checked. Raises ConfigError."""
    if not options.settings and options.config is None:
        return {}
    from model.configs import BrokerConfig
    from model.properties import parse_properties

    overrides: dict[str, str] = {}
    if options.config is not None:
        try:
            overrides = parse_properties(options.config.read_text())
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"can't read {options.config} ({error}): give --config a properties file") from error
        for name in sorted(overrides.keys() & OWNED_CONFIGS.keys()):
            del overrides[name]
            print(f"note: {name} in {options.config} is left out, {OWNED_CONFIGS[name]} decides", file=sys.stderr)
    for setting in options.settings:
        name, equals, value = setting.partition("=")
        name = name.strip()
        if not equals or not name:
            raise ConfigError(f"--set {setting}: write it as --set key=value")
        if name in OWNED_CONFIGS:
            raise ConfigError(f"--set {name}: use {OWNED_CONFIGS[name]} instead")
        overrides[name] = value.strip()
    config = BrokerConfig(overrides)
    if any(name.startswith("zmq.curve.") for name in overrides):  # else zmq need not be imported yet
        from transport.curve import server_keys

        server_keys(config.get_str("zmq.curve.secret.key"), config.get_list("zmq.curve.client.keys"))
    return overrides


def prepare(options: Options) -> Ground:
    """Check and take all that the cluster needs. Raises ConfigError, and then holds nothing."""
    from actors.cluster_directory import ClusterDirectory, RunDirectory
    from transport.ports import reserve

    overrides = read_overrides(options)
    directory = ClusterDirectory.open(options.data_dir)
    try:
        ground = Ground(directory, RunDirectory(), overrides)
    except BaseException:
        directory.close()
        raise
    try:
        for offset in range(options.brokers):
            ground.reserved.append(reserve(options.host, options.port + offset if options.port else 0))
    except BaseException:
        ground.close()
        raise
    return ground


def main(arguments: Sequence[str], prog: str = PROG) -> int:
    """The exit code: 0 stopped on request, 1 a broker can't start, 2 the user's mistake, 130 interrupted at once."""
    began_s = time.monotonic() - _process_age_s()
    options = parse(arguments, prog)
    signal.signal(signal.SIGTERM, _interrupt)
    children: dict[int, Child] = {}
    ground: Ground | None = None
    try:
        name = str(options.data_dir.resolve()) if options.data_dir is not None else "temporary"
        for number in range(1, options.brokers + 1):
            children[number] = spawn(number, name, options.broker_class)
        ground = prepare(options)
        return _supervise(options, ground, children, name, began_s)
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except ConfigError as error:
        print(f"{prog}: {error}", file=sys.stderr)
        return EXIT_MISTAKE
    finally:
        # those that never got to work; the supervisor has taken out the others
        for child in children.values():
            child.kill()
            child.reap()
        if ground is not None:
            ground.close()


def _supervise(options: Options, ground: Ground, children: dict[int, Child], name: str, began_s: float) -> int:
    # imported only now: the children had a head start, and a mistake never pays for it
    from actors.supervising import supervise

    return supervise(options, ground, children, name, began_s)


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _process_age_s() -> float:
    """How long this process has run: what the user waits for began before our first line."""
    try:
        with open("/proc/self/stat", "rb") as file:
            started_ticks = int(file.read().rpartition(b")")[2].split()[19])
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - started_ticks / os.sysconf("SC_CLK_TCK"))
    except (OSError, ValueError, AttributeError):
        return 0.0
