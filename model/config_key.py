"""One config as one row: type, default, valid values, doc. DescribeConfigs and docs/configs.md follow from it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple, cast

ConfigType = Literal["boolean", "string", "int", "short", "long", "double", "list", "class", "password"]
UpdateMode = Literal["read-only", "per-broker", "cluster-wide"]
ConfigValue = bool | int | float | str | tuple[str, ...]

Row = tuple[str, str, str | None, str, str, str]
"""name, type, default, validator (see ConfigKey), words (`acts`, `per-broker`, `cluster-wide`), doc."""

_INT_BITS = {"int": 31, "short": 15, "long": 63}
_TYPES = frozenset({"boolean", "string", "double", "list", "class", "password", *_INT_BITS})


class ConfigKey(NamedTuple):
    """A config of the broker or of a topic.

    `default` is None when Kafka's is null. `acted_on` is False for those we know and list but don't obey.
    `validator` says which values pass: `1..` and `0..1` are ranges, `1..9 or -1` a range and one more,
    `a|b` a choice (of each entry, when the type is list), `a|b any case` the same for every spelling,
    `replicas` Kafka's list of throttled replicas. Empty: all that parse.
    `synonyms` are, for a topic config, the broker configs that give its default, the strongest first;
    for a broker config, the weaker ones that count when this one has no value.
    """

    name: str
    type: ConfigType
    default: str | None
    doc: str
    validator: str
    acted_on: bool
    update_mode: UpdateMode
    synonyms: tuple[str, ...] = ()

    @property
    def dynamic(self) -> bool:
        """True when it can be changed while the broker runs (all topic configs can)."""
        return self.update_mode != "read-only"

    @property
    def is_sensitive(self) -> bool:
        return self.type == "password"

    @property
    def is_internal(self) -> bool:
        """Undocumented by Kafka, for tests; works when set and is listed only then."""
        return self.name.startswith("internal.")

    def parse(self, text: str) -> ConfigValue:
        """The value as Python has it. Raises ValueError whose text completes "<name>=<value>: "."""
        value = self._typed(text.strip())
        if self.validator:
            self._validate(value)
        return value

    def _typed(self, text: str) -> ConfigValue:
        kind = self.type
        if kind in _INT_BITS:
            return _integer(text, kind)
        if kind == "boolean":
            if text.lower() not in ("true", "false"):
                raise ValueError("must be true or false")
            return text.lower() == "true"
        if kind == "double":
            try:
                return float(text)
            except ValueError:
                raise ValueError("must be a number") from None
        if kind == "list":
            return tuple(dict.fromkeys(entry.strip() for entry in text.split(","))) if text else ()
        return text

    def _validate(self, value: ConfigValue) -> None:
        if isinstance(value, tuple):
            self._validate_list(value)
        elif isinstance(value, str):
            choices, fold = self._choices()
            if (value.lower() if fold else value) not in choices:
                raise ValueError(f"must be one of {', '.join(choices)}")
        else:
            span, _, also = self.validator.partition(" or ")
            low, _, high = span.partition("..")
            # NaN fails both comparisons, so it is refused as well
            if not (float(low) <= value and (not high or value <= float(high))) and str(value) != also:
                beside = f", or {also}" if also else ""
                raise ValueError(f"must be {f'between {low} and {high}' if high else f'at least {low}'}{beside}")

    def _validate_list(self, entries: tuple[str, ...]) -> None:
        if self.validator == "replicas":
            if entries != ("*",) and not all(_is_replica(entry) for entry in entries):
                raise ValueError("must be * or a list of partition:broker pairs, as in 0:1,1:2")
            return
        choices, _ = self._choices()
        for entry in entries:
            if entry not in choices:
                raise ValueError(f"each entry must be one of {', '.join(choices)}")

    def _choices(self) -> tuple[list[str], bool]:
        words, _, any_case = self.validator.partition(" ")
        return words.split("|"), bool(any_case)


def _integer(text: str, kind: str) -> int:
    digits = text[1:] if text[:1] in ("-", "+") else text
    if not (digits.isascii() and digits.isdigit()):
        raise ValueError("must be a whole number")
    value = int(digits[:20])
    value = -value if text[0] == "-" else value
    bits = _INT_BITS[kind]
    if not -(1 << bits) <= value < 1 << bits or len(digits) > 20:
        raise ValueError(f"must fit into a Java {kind}")
    return value


def _is_replica(entry: str) -> bool:
    partition, _, broker = entry.partition(":")
    return partition.isdecimal() and broker.isdecimal()


def keys_of(rows: Iterable[Row], synonyms: dict[str, tuple[str, ...]], always: str = "") -> dict[str, ConfigKey]:
    """The rows by name; `always` is an update mode that holds for every row."""
    keys: dict[str, ConfigKey] = {}
    for name, kind, default, validator, words, doc in rows:
        mode = always or ("read-only" if not words else words.removeprefix("acts").lstrip() or "read-only")
        assert kind in _TYPES and name not in keys, name
        keys[name] = ConfigKey(
            name,
            cast(ConfigType, kind),
            default,
            doc,
            validator,
            words.startswith("acts"),
            cast(UpdateMode, mode),
            synonyms.get(name, ()),
        )
    return keys
