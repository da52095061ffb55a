"""What a single group can be told, over its broker's `group.consumer.*`: the resource type 32 of the config calls."""

from __future__ import annotations

from collections.abc import Mapping

from model.config_key import ConfigKey, Row, keys_of
from model.configs import BrokerConfig
from model.errors import InvalidConfig

GROUP_ROWS: tuple[Row, ...] = (
    ("consumer.heartbeat.interval.ms", "int", "5000", "1..", "acts",
     "How often members of this KIP-848 group send a heartbeat."),
    ("consumer.session.timeout.ms", "int", "45000", "1..", "acts",
     "A member of this KIP-848 group that is silent for this long is out of it."),
)  # fmt: skip

GROUP_CONFIGS: dict[str, ConfigKey] = keys_of(
    GROUP_ROWS, {name: (f"group.{name}",) for name, *_ in GROUP_ROWS}, always="cluster-wide"
)


def validate_group_configs(configs: Mapping[str, str], broker: BrokerConfig) -> None:
    """Raises InvalidConfig for an unknown name, and for a value outside of what the broker allows groups."""
    values: dict[str, int] = {}
    for name, key in GROUP_CONFIGS.items():
        values[name] = broker.get_int(f"group.{name}")
        if name in configs:
            values[name] = _checked(key, configs[name], broker)
    for name in configs:
        if name not in GROUP_CONFIGS:
            raise InvalidConfig(f"{name} is no config of a group")
    if values["consumer.heartbeat.interval.ms"] >= values["consumer.session.timeout.ms"]:
        raise InvalidConfig("consumer.heartbeat.interval.ms must be less than consumer.session.timeout.ms")


def _checked(key: ConfigKey, text: str, broker: BrokerConfig) -> int:
    try:
        value = key.parse(text)
    except ValueError as reason:
        raise InvalidConfig(f"{key.name}={text}: {reason}") from None
    assert isinstance(value, int)
    what = key.name.removeprefix("consumer.")
    least, most = (broker.get_int(f"group.consumer.{bound}.{what}") for bound in ("min", "max"))
    if not least <= value <= most:
        raise InvalidConfig(f"{key.name}={text}: must be between {least} and {most} on this broker")
    return value
