from __future__ import annotations

import pytest

from model.config_key import ConfigKey, ConfigType, ConfigValue


def a_key(type: ConfigType, validator: str = "") -> ConfigKey:
    return ConfigKey("a.key", type, None, "", validator, acted_on=True, update_mode="read-only")


@pytest.mark.parametrize(
    ("type", "validator", "text", "value"),
    [
        ("boolean", "", " TRUE ", True),
        ("boolean", "", "false", False),
        ("int", "", "+5", 5),
        ("int", "1..", "2147483647", 2**31 - 1),
        ("int", "1..9 or -1", "-1", -1),
        ("long", "", "-9223372036854775808", -(2**63)),
        ("short", "", "32767", 32767),
        ("double", "0..1", "0.5", 0.5),
        ("double", "", "1.7976931348623157E308", 1.7976931348623157e308),
        ("list", "", "", ()),
        ("list", "compact|delete", " compact , delete,compact", ("compact", "delete")),
        ("list", "replicas", "*", ("*",)),
        ("list", "replicas", "0:1,12:3", ("0:1", "12:3")),
        ("string", "gzip|zstd", "zstd", "zstd"),
        ("string", "up|down any case", "UP", "UP"),
        ("class", "", "a.B", "a.B"),
        ("password", "", "secret", "secret"),
    ],
)
def test_good_values(type: ConfigType, validator: str, text: str, value: ConfigValue) -> None:
    parsed = a_key(type, validator).parse(text)
    assert parsed == value
    assert isinstance(parsed, value.__class__)


@pytest.mark.parametrize(
    ("type", "validator", "text", "reason"),
    [
        ("boolean", "", "1", "must be true or false"),
        ("int", "", "", "must be a whole number"),
        ("int", "", "1e3", "must be a whole number"),
        ("int", "", "1_000", "must be a whole number"),
        ("int", "", "٣", "must be a whole number"),
        ("int", "", "2147483648", "must fit into a Java int"),
        ("short", "", "-32769", "must fit into a Java short"),
        ("long", "", "9" * 5000, "must fit into a Java long"),
        ("int", "1..", "0", "must be at least 1"),
        ("int", "1..9 or -1", "10", "must be between 1 and 9, or -1"),
        ("double", "0..1", "1.5", "must be between 0 and 1"),
        ("double", "0..1", "nan", "must be between 0 and 1"),
        ("double", "", "half", "must be a number"),
        ("string", "gzip|zstd", "ZSTD", "must be one of gzip, zstd"),
        ("list", "compact|delete", "delete,keep", "each entry must be one of compact, delete"),
        ("list", "replicas", "0:1,x", "must be \\* or a list"),
    ],
)
def test_bad_values(type: ConfigType, validator: str, text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=f"^{reason}"):
        a_key(type, validator).parse(text)
