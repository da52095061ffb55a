"""A plan: which workload runs on which cluster, and what is done to it meanwhile. With its seed, a run.

    workload: queue            # queue, transactions, auto_commit, abort, rebalance
    brokers: 3
    rate: 500                  # sends per second
    duration: 60s
    every: 3s                  # a fault
    for: 1500ms                # how long one lasts that doesn't end by itself
    seed: 7
    configs: {min.insync.replicas: 2}
    faults:                    # by the seed, or with `order: listed` one after the other
      - kill: {whom: leader}
      - partition: {shape: ring}
        for: 1s
      - rolling-restart

YAML needs pyyaml (in `odradek[cli]`); TOML and JSON with the same names work without.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from chaos.faults import FAULTS, Fault
from chaos.plan_lines import line_of
from model.configs import BrokerConfig
from model.errors import ConfigError

WORKLOAD_NAMES = ("queue", "transactions", "auto_commit", "abort", "rebalance")
ORDERS = ("random", "listed")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_LONGEST_S = 366 * 86_400.0


class PlanMistake(ConfigError):
    """`path` leads to what is wrong: ("faults", 2, "kill", "whom")."""

    def __init__(self, words: str, *path: str | int) -> None:
        super().__init__(words)
        self.path = path


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """`for_s` None: the plan's."""

    name: str
    options: dict[str, Any] = field(default_factory=dict)
    for_s: float | None = None

    def make(self) -> Fault:
        return fault_of(self.name, self.options)


@dataclass(frozen=True, slots=True)
class Plan:
    """See the module for what it is made of; times are seconds."""

    faults: tuple[PlannedFault, ...]
    workload: str = "queue"
    brokers: int = 3
    rate: int = 500
    duration_s: float = 60.0
    every_s: float = 3.0
    for_s: float = 1.5
    seed: int = 1
    order: str = "random"
    configs: dict[str, str] = field(default_factory=dict)

    def with_changes(self, changes: Mapping[str, Any]) -> Plan:
        return replace(self, **changes)

    def to_json(self) -> str:
        """Read again by `read_plan`."""
        plain = asdict(self)
        plain["faults"] = [
            {fault.name: fault.options, **({"for": fault.for_s} if fault.for_s is not None else {})}
            for fault in self.faults
        ]
        for name in ("duration", "every", "for"):
            plain[name] = plain.pop(f"{name}_s")
        return json.dumps(plain, indent=2, default=str)


def read_plan(path: Path) -> Plan:
    """Raises ConfigError with what is wrong with it, and in which line if that can be known."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"can't read {path}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text") from None
    try:
        return plan_of(_parse(path.suffix, text))
    except PlanMistake as mistake:
        line = line_of(path.suffix, text, mistake.path)
        raise ConfigError(f"{path}{f', line {line}' if line else ''}: {mistake}") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def plan_of(given: Any) -> Plan:
    """Raises ConfigError."""
    if not isinstance(given, Mapping):
        raise ConfigError("a plan is a mapping of names to values")
    known = {"workload", "brokers", "rate", "duration", "every", "for", "seed", "order", "configs", "faults"}
    unknown = set(given) - known
    if unknown:
        first = next(name for name in given if name in unknown)
        names = ", ".join(sorted(map(str, unknown)))
        raise PlanMistake(f"unknown: {names} (there are {', '.join(sorted(known))})", first)
    faults = given.get("faults")
    if not isinstance(faults, Sequence) or isinstance(faults, str) or not faults:
        raise PlanMistake("faults: name at least one", "faults")
    plan = Plan(
        faults=tuple(_planned(fault, place) for place, fault in enumerate(faults)),
        workload=str(given.get("workload", "queue")).replace("-", "_"),
        brokers=_whole(given, "brokers", 3, 1),
        rate=_whole(given, "rate", 500, 1),
        duration_s=longer_than_nothing("duration", _time(given, "duration", 60)),
        every_s=longer_than_nothing("every", _time(given, "every", 3)),
        for_s=_time(given, "for", 1.5),
        seed=_whole(given, "seed", 1, 0),
        order=str(given.get("order", "random")),
        configs=_configs(given.get("configs") or {}),
    )
    if plan.workload not in WORKLOAD_NAMES:
        raise PlanMistake(f"workload: {plan.workload} is none of {', '.join(WORKLOAD_NAMES)}", "workload")
    if plan.order not in ORDERS:
        raise PlanMistake(f"order: {plan.order} is none of {', '.join(ORDERS)}", "order")
    return plan


def fault_of(name: str, options: Mapping[str, Any]) -> Fault:
    """By its name; options as numbers, texts or booleans, or written out as text. Raises ConfigError."""
    kind = FAULTS.get(name.replace("_", "-"))
    if kind is None:
        raise ConfigError(f"there is no fault {name}: there are {', '.join(FAULTS)}")
    defaults = kind.options()
    typed = {}
    for key, value in options.items():
        if key not in defaults:
            raise PlanMistake(f"{name} has no option {key}: it has {', '.join(defaults) or 'none'}", key)
        typed[key] = _typed(f"{name}: {key}", value, defaults[key])
    return kind(**typed)


def seconds(given: Any) -> float:
    """1.5, "3s", "500ms". Raises ConfigError, also for what no clock could wait for."""
    if isinstance(given, (int, float)) and not isinstance(given, bool) and 0 <= given <= _LONGEST_S:
        return float(given)
    match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)", str(given).strip())
    length_s = float(match[1]) * _UNITS[match[2]] if match is not None else -1.0
    if not 0 <= length_s <= _LONGEST_S:
        raise ConfigError(f"{given} is no time: write 3s or 500ms")
    return length_s


def longer_than_nothing(name: str, given_s: float) -> float:
    """Raises ConfigError: a run in which nothing is done would prove nothing, and look as if it did."""
    if given_s <= 0:
        raise PlanMistake(f"{name}: must be longer than nothing", name)
    return given_s


def _parse(suffix: str, text: str) -> Any:
    try:
        if suffix == ".json":
            return json.loads(text)
        if suffix == ".toml":
            import tomllib

            return tomllib.loads(text)
        try:
            import yaml
        except ImportError:
            raise ConfigError("YAML needs pyyaml (pip install 'odradek[cli]'); TOML and JSON don't") from None
        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
            where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark is not None else ""
            raise ValueError(where + " ".join(str(problem or error).split())) from None
    except ValueError as error:
        raise ConfigError(f"can't be read: {error}") from None


def _planned(given: Any, place: int) -> PlannedFault:
    try:
        return _fault_entry(given)
    except PlanMistake as mistake:
        raise PlanMistake(str(mistake), "faults", place, *mistake.path) from None
    except ConfigError as error:
        raise PlanMistake(str(error), "faults", place) from None


def _fault_entry(given: Any) -> PlannedFault:
    if isinstance(given, str):
        given = {given: {}}
    if not isinstance(given, Mapping):
        raise ConfigError(f"faults: {given!r} is no fault")
    names = [name for name in given if name != "for"]
    if len(names) != 1:
        raise ConfigError(f"faults: write one fault an entry, not {', '.join(map(str, names)) or 'none'}")
    if not isinstance(names[0], str):
        raise ConfigError(f"there is no fault {names[0]}: there are {', '.join(FAULTS)}")
    options = given[names[0]] or {}
    if not isinstance(options, Mapping):
        raise ConfigError(f"faults: {names[0]}: options are names and values")
    planned = PlannedFault(names[0], dict(options), seconds(given["for"]) if "for" in given else None)
    try:
        planned.make()
    except PlanMistake as mistake:
        raise PlanMistake(str(mistake), names[0], *mistake.path) from None
    return planned


def _time(given: Mapping[str, Any], name: str, default: float) -> float:
    try:
        return seconds(given.get(name, default))
    except ConfigError as error:
        raise PlanMistake(f"{name}: {error}", name) from None


def _configs(given: Any) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise PlanMistake("configs: write names and values", "configs")
    configs = {str(name): _config(value) for name, value in given.items()}
    try:
        BrokerConfig(configs)
    except ConfigError as error:
        guilty = next((name for name in configs if name in str(error)), "")
        raise PlanMistake(f"configs: {error}", "configs", guilty) from None
    return configs


def _typed(what: str, value: Any, default: Any) -> Any:
    try:
        if isinstance(default, bool):
            if isinstance(value, bool):
                return value
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[str(value).lower()]
        return type(default)(value)
    except (KeyError, ValueError, TypeError):
        raise PlanMistake(f"{what}={value}: must be of the kind of {default!r}", what.rpartition(": ")[2]) from None


def _whole(given: Mapping[str, Any], name: str, default: int, least: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise PlanMistake(f"{name}: {value} must be a whole number from {least} on", name)
    return value


def _config(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
