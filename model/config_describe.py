"""How configs look in an answer to DescribeConfigs: each with its value and where the value comes from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from model.config_key import ConfigKey
from model.configs import BROKER_CONFIGS, TOPIC_CONFIGS, BrokerConfig
from model.group_configs import GROUP_CONFIGS

TOPIC_SOURCE = 1
DYNAMIC_BROKER_SOURCE = 2
DYNAMIC_DEFAULT_BROKER_SOURCE = 3
STATIC_BROKER_SOURCE = 4
DEFAULT_SOURCE = 5
GROUP_SOURCE = 8

CONFIG_TYPES = {
    "boolean": 1, "string": 2, "int": 3, "short": 4, "long": 5, "double": 6, "list": 7, "class": 8, "password": 9,
}  # fmt: skip

Synonym = tuple[str, str | None, int]
"""name, value, source."""


class ConfigEntry(NamedTuple):
    """One config as the wire has it. `value` is None when it is null or a password."""

    name: str
    value: str | None
    source: int
    is_read_only: bool
    is_sensitive: bool
    type: int
    doc: str
    synonyms: list[Synonym]


class _Layers(NamedTuple):
    """Where a broker's values come from, the strongest first."""

    dynamic: Mapping[str, str]
    default_dynamic: Mapping[str, str]
    static: BrokerConfig

    def find(self, names: Sequence[str]) -> list[Synonym]:
        """Every value there is for `names`; the first one counts."""
        found: list[Synonym] = []
        for source, values in (
            (DYNAMIC_BROKER_SOURCE, self.dynamic),
            (DYNAMIC_DEFAULT_BROKER_SOURCE, self.default_dynamic),
            (STATIC_BROKER_SOURCE, self.static.overrides),
        ):
            found += [(name, _shown(name, values[name]), source) for name in names if name in values]
        defaults = ((name, BROKER_CONFIGS[name].default) for name in names)
        found += [(name, _shown(name, text), DEFAULT_SOURCE) for name, text in defaults if text is not None]
        return found


def describe_broker(
    config: BrokerConfig, dynamic: Mapping[str, str], default_dynamic: Mapping[str, str]
) -> list[ConfigEntry]:
    """All configs of one broker. `config` is what it was started with, the others what was changed since."""
    layers = _Layers(dynamic, default_dynamic, config)
    now = config.with_overrides({**default_dynamic, **dynamic})
    return [
        _broker_entry(key, now.raw(key.name), layers)
        for key in BROKER_CONFIGS.values()
        if not key.is_internal or key.name in now.overrides
    ]


def describe_broker_default(config: BrokerConfig, default_dynamic: Mapping[str, str]) -> list[ConfigEntry]:
    """What was changed for all brokers: the broker resource with an empty name. Lists nothing else, as in Kafka."""
    entries = []
    for name, text in sorted(default_dynamic.items()):
        key = BROKER_CONFIGS[name]
        synonyms = [(name, _shown(name, text), DYNAMIC_DEFAULT_BROKER_SOURCE)]
        entries.append(_entry(key, text, synonyms, is_read_only=not key.dynamic))
    return entries


def describe_topic(
    broker: BrokerConfig,
    topic_overrides: Mapping[str, str],
    dynamic: Mapping[str, str] | None = None,
    default_dynamic: Mapping[str, str] | None = None,
) -> list[ConfigEntry]:
    """All configs of one topic, as the broker asked would apply them."""
    layers = _Layers(dynamic or {}, default_dynamic or {}, broker)
    now = broker.with_overrides({**layers.default_dynamic, **layers.dynamic})
    return [
        _topic_entry(key, topic_overrides, now, layers)
        for key in TOPIC_CONFIGS.values()
        if not key.is_internal or key.name in topic_overrides
    ]


def describe_group(broker: BrokerConfig, overrides: Mapping[str, str]) -> list[ConfigEntry]:
    """All configs of one group; what was not set comes from its broker, and is shown as a default."""
    entries = []
    for key in GROUP_CONFIGS.values():
        default = broker.raw(key.synonyms[0]) or ""
        synonyms: list[Synonym] = [(key.name, default, DEFAULT_SOURCE)]
        if key.name in overrides:
            synonyms.insert(0, (key.name, overrides[key.name].strip(), GROUP_SOURCE))
        entries.append(_entry(key, synonyms[0][1], synonyms, is_read_only=False))
    return entries


def _broker_entry(key: ConfigKey, value: str | None, layers: _Layers) -> ConfigEntry:
    synonyms = layers.find((key.name, *key.synonyms))
    # Kafka lists what is weaker than the config's own first value, and nothing when it has none
    own = [at for at, (name, _, _) in enumerate(synonyms) if name == key.name]
    return _entry(key, value, synonyms[own[0] :] if own else [], is_read_only=not key.dynamic)


def _topic_entry(key: ConfigKey, overrides: Mapping[str, str], now: BrokerConfig, layers: _Layers) -> ConfigEntry:
    synonyms = layers.find(key.synonyms)
    if key.name in overrides:
        value: str | None = overrides[key.name].strip()
        synonyms.insert(0, (key.name, value, TOPIC_SOURCE))
    elif not synonyms:
        value = key.default
    elif synonyms[0][0].endswith((".hours", ".minutes")):
        value = str(now.log_default(key.name))
    else:
        value = synonyms[0][1]
    return _entry(key, value, synonyms, is_read_only=False)


def _entry(key: ConfigKey, value: str | None, synonyms: list[Synonym], *, is_read_only: bool) -> ConfigEntry:
    return ConfigEntry(
        name=key.name,
        value=None if key.is_sensitive or value is None else value.strip(),
        source=synonyms[0][2] if synonyms else DEFAULT_SOURCE,
        is_read_only=is_read_only,
        is_sensitive=key.is_sensitive,
        type=CONFIG_TYPES[key.type],
        doc=key.doc,
        synonyms=synonyms,
    )


def _shown(name: str, text: str) -> str | None:
    return None if BROKER_CONFIGS[name].is_sensitive else text.strip()
