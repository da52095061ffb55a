from pathlib import Path

import pytest

from actors.launch import parse, read_overrides
from model.errors import ConfigError


def overrides(*arguments: str) -> dict[str, str]:
    return read_overrides(parse(arguments))


def test_settings_win_over_the_file_and_the_last_setting_over_the_first(tmp_path: Path) -> None:
    file = tmp_path / "server.properties"
    file.write_text("# a comment\nnum.partitions=1\nmin.insync.replicas = 2\n")
    assert overrides("--config", str(file), "--set", "num.partitions=2", "--set", "num.partitions=3") == {
        "num.partitions": "3",
        "min.insync.replicas": "2",
    }


def test_a_value_may_hold_an_equals_sign() -> None:
    assert overrides("--set", "broker.rack=a=b") == {"broker.rack": "a=b"}


def test_what_the_command_line_decides_is_left_out_of_a_file_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "server.properties"
    file.write_text("node.id=7\nlog.dirs=/somewhere\n")
    assert overrides("--config", str(file)) == {}
    notes = capsys.readouterr().err
    assert "node.id" in notes
    assert "--data-dir decides" in notes


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("num.partitons=1", "num.partitions"),
        ("num.partitions=-", "num.partitions"),
        ("num.partitions", "key=value"),
        ("=1", "key=value"),
        ("node.id=4", "--brokers"),
        ("zmq.curve.secret.key=short", "zmq.curve.secret.key: a key is 40 characters of Z85"),
        ("zmq.curve.client.keys=short", "zmq.curve.client.keys: a key is 40 characters of Z85"),
        (f"zmq.curve.client.keys={'a' * 40}", "needs zmq.curve.secret.key"),
    ],
)
def test_mistakes_name_the_remedy(setting: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        overrides("--set", setting)


@pytest.mark.parametrize("arguments", [["--brokers", "0"], ["--port", "65534"], ["--brokers", "x"], ["--nope"], ["x"]])
def test_bad_options_end_with_2_and_one_line(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(arguments)
    assert end.value.code == 2
    assert capsys.readouterr().err.count("\n") == 1
