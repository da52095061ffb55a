"""What a broker and a topic can be told: every config Kafka 4.3 documents, checked and parsed.

The rows are in `broker_configs*.py` and `topic_configs.py`; how DescribeConfigs shows them is in `config_describe.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple, cast

from model.broker_configs import BROKER_ROWS, BROKER_SYNONYMS
from model.broker_configs_coordinators import COORDINATOR_ROWS
from model.broker_configs_other import OTHER_ROWS
from model.broker_configs_security import SECURITY_ROWS
from model.config_key import ConfigKey, ConfigValue, keys_of
from model.errors import ConfigError, InvalidConfig
from model.properties import parse_properties as parse_properties
from model.topic_configs import TOPIC_ROWS, TOPIC_SYNONYMS

BROKER_CONFIGS: dict[str, ConfigKey] = keys_of(
    sorted((*BROKER_ROWS, *COORDINATOR_ROWS, *OTHER_ROWS, *SECURITY_ROWS)), BROKER_SYNONYMS
)
TOPIC_CONFIGS: dict[str, ConfigKey] = keys_of(sorted(TOPIC_ROWS), TOPIC_SYNONYMS, always="cluster-wide")

_UNITS_MS = (("hours", 3_600_000), ("minutes", 60_000))


class BrokerConfig:
    """The configs of one broker: what was set, and Kafka's default for the rest. Immutable.

    Raises ConfigError, one line, when a key is unknown or a value is bad.
    """

    __slots__ = ("_log_defaults", "_values", "overrides")

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        self.overrides: dict[str, str] = dict(overrides or {})
        self._values: dict[str, ConfigValue | None] = {}
        self._log_defaults: dict[str, ConfigValue] | None = None
        for name, text in self.overrides.items():
            self._values[name] = _checked(name, text)
        _check_together(self)

    def with_overrides(self, overrides: Mapping[str, str]) -> BrokerConfig:
        """A new one in which `overrides` win; the dynamic configs of a cluster are laid over the static ones so."""
        return BrokerConfig({**self.overrides, **overrides}) if overrides else self

    def raw(self, name: str) -> str | None:
        """The text that was set, or the default's; None where Kafka's default is null."""
        text = self.overrides.get(name)
        if text is None and name in _TWINS:
            text = self.overrides.get(_TWINS[name])
        return text if text is not None else BROKER_CONFIGS[name].default

    def value(self, name: str) -> ConfigValue | None:
        """The parsed value, of the type that the key's row says; None where Kafka's default is null."""
        try:
            return self._values[name]
        except KeyError:
            text = self.raw(name)
            value = self._values[name] = None if text is None else BROKER_CONFIGS[name].parse(text)
            return value

    def get_int(self, name: str) -> int:
        """Raises ConfigError when the key has no value."""
        return cast(int, self._present(name))

    def get_bool(self, name: str) -> bool:
        return cast(bool, self._present(name))

    def get_float(self, name: str) -> float:
        return cast(float, self._present(name))

    def get_str(self, name: str) -> str:
        """Raises ConfigError when the key has no value; `raw` gives None then."""
        return cast(str, self._present(name))

    def get_list(self, name: str) -> list[str]:
        """Empty when the key has no value."""
        return list(cast("tuple[str, ...]", self.value(name) or ()))

    def _present(self, name: str) -> ConfigValue:
        value = self.value(name)
        if value is None:
            raise ConfigError(f"{name} is not set; give it a value with --set {name}=...")
        return value

    def log_default(self, topic_config: str) -> ConfigValue:
        """What a topic without an override of its own gets for `topic_config`; hours and minutes come as ms."""
        if self._log_defaults is None:
            self._log_defaults = {name: self._log_default(key) for name, key in TOPIC_CONFIGS.items()}
        return self._log_defaults[topic_config]

    def _log_default(self, key: ConfigKey) -> ConfigValue:
        for synonym in key.synonyms:
            value = self.value(synonym)
            if value is not None:
                return self._in_ms(synonym, value)
        return key.parse(key.default) if key.default is not None else ""

    def _in_ms(self, name: str, value: ConfigValue) -> ConfigValue:
        for unit, unit_ms in _UNITS_MS:
            if name.endswith(unit):
                value = cast(int, value) * unit_ms
        return -1 if name.startswith("log.retention.") and cast(int, value) < 0 else value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BrokerConfig) and self.overrides == other.overrides

    def __hash__(self) -> int:
        return hash(frozenset(self.overrides.items()))

    def __repr__(self) -> str:
        shown = (f"{k}={'[hidden]' if BROKER_CONFIGS[k].is_sensitive else v}" for k, v in self.overrides.items())
        return f"BrokerConfig({', '.join(shown)})"


class LogConfig(NamedTuple):
    """The configs of one partition's log, parsed; without arguments, Kafka's defaults.

    Sizes are bytes, times are ms; -1 stands for "no limit" in the two retentions. A NamedTuple rather than a dataclass,
    whose import alone costs 10 ms of every process's start; `_replace` gives a changed copy.
    """

    segment_bytes: int = 1 << 30
    segment_ms: int = 604_800_000
    segment_jitter_ms: int = 0
    segment_index_bytes: int = 10 << 20
    index_interval_bytes: int = 4096
    retention_ms: int = 604_800_000
    retention_bytes: int = -1
    max_message_bytes: int = (1 << 20) + 12
    flush_messages: int = (1 << 63) - 1
    flush_ms: int = (1 << 63) - 1
    file_delete_delay_ms: int = 60_000
    delete_retention_ms: int = 86_400_000
    min_compaction_lag_ms: int = 0
    max_compaction_lag_ms: int = (1 << 63) - 1
    min_cleanable_dirty_ratio: float = 0.5
    is_compacted: bool = False
    is_deleted: bool = True
    unclean_leader_election: bool = False
    min_insync_replicas: int = 1
    compression_type: str = "producer"
    compression_gzip_level: int = -1
    compression_lz4_level: int = 9
    compression_zstd_level: int = 3
    preallocate: bool = False
    message_timestamp_type: Literal["CreateTime", "LogAppendTime"] = "CreateTime"
    message_timestamp_before_max_ms: int = (1 << 63) - 1
    message_timestamp_after_max_ms: int = 3_600_000

    @staticmethod
    def of(broker: BrokerConfig, topic_overrides: Mapping[str, str]) -> LogConfig:
        """The topic's own configs over the broker's defaults; raises InvalidConfig when one is unknown or bad."""
        given = validate_topic_configs(topic_overrides)
        values = {field: given[name] if name in given else broker.log_default(name) for field, name in _FIELD_CONFIGS}
        policy = cast("tuple[str, ...]", given.get("cleanup.policy", broker.log_default("cleanup.policy")))
        if "internal.segment.bytes" in given:
            values["segment_bytes"] = given["internal.segment.bytes"]
        values["is_compacted"] = "compact" in policy
        values["is_deleted"] = "delete" in policy
        return LogConfig(**values)  # type: ignore[arg-type]


_FIELD_CONFIGS: tuple[tuple[str, str], ...] = tuple(
    ("unclean_leader_election" if name == "unclean.leader.election.enable" else name.replace(".", "_"), name)
    for name in TOPIC_CONFIGS
    if name.replace(".", "_").removesuffix("_enable") in LogConfig._fields
)
_TWINS = {"broker.id": "node.id", "node.id": "broker.id"}
"""Two names of one thing: either may be set."""


def validate_topic_configs(overrides: Mapping[str, str | None]) -> dict[str, ConfigValue]:
    """The parsed values. Raises InvalidConfig when a name is unknown, a value is bad or null, or two contradict."""
    values: dict[str, ConfigValue] = {}
    for name, text in overrides.items():
        key = TOPIC_CONFIGS.get(name)
        if key is None:
            raise InvalidConfig(f"Unknown topic config name: {name}{_hint(name, TOPIC_CONFIGS)}")
        if text is None:
            raise InvalidConfig(f"Null value not supported for topic configs: {name}")
        try:
            values[name] = key.parse(text)
        except ValueError as reason:
            raise InvalidConfig(f"Invalid value {text} for configuration {name}: {reason}") from None
    low, high = values.get("min.compaction.lag.ms", 0), values.get("max.compaction.lag.ms", (1 << 63) - 1)
    if cast(int, low) > cast(int, high):
        raise InvalidConfig(f"min.compaction.lag.ms ({low}) must not be above max.compaction.lag.ms ({high})")
    return values


def _checked(name: str, text: str) -> ConfigValue:
    key = BROKER_CONFIGS.get(name)
    if key is None:
        raise ConfigError(f"unknown config '{name}'{_broker_hint(name)}")
    try:
        return key.parse(text)
    except ValueError as reason:
        shown = "..." if key.is_sensitive else text
        raise ConfigError(f"bad value in {name}={shown}: it {reason}") from None


def _check_together(config: BrokerConfig) -> None:
    for low, high in _ORDERED:
        if (low in config.overrides or high in config.overrides) and config.get_int(low) > config.get_int(high):
            raise ConfigError(
                f"{low}={config.raw(low)} is above {high}={config.raw(high)}; lower the first or raise the second"
            )
    node, broker = config.overrides.get("node.id"), config.overrides.get("broker.id")
    if node is not None and broker is not None and config.get_int("node.id") != config.get_int("broker.id"):
        raise ConfigError(f"node.id={node} and broker.id={broker} differ; leave one of them out")


_ORDERED = (
    ("group.min.session.timeout.ms", "group.max.session.timeout.ms"),
    ("group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"),
    ("group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"),
    ("log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"),
)


def _broker_hint(name: str) -> str:
    key = TOPIC_CONFIGS.get(name)
    if key is not None and key.synonyms:
        return f": it belongs to a topic; for all topics set {key.synonyms[0]}"
    return _hint(name, BROKER_CONFIGS) or "; docs/configs.md lists them all"


def _hint(name: str, known: Iterable[str]) -> str:
    import difflib  # only a user who mistyped waits for it

    near = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    return f"; did you mean '{near[0]}'?" if near else ""
