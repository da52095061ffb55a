from __future__ import annotations

import pytest

from model.errors import ConfigError
from model.properties import parse_properties


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", {}),
        ("# comment\n! comment\n\n   \n", {}),
        ("a=1\r\nb = 2\rc : 3\nd 4", {"a": "1", "b": "2", "c": "3", "d": "4"}),
        ("  a  =  with space  ", {"a": "with space  "}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a=x=y:z", {"a": "x=y:z"}),
        ("a=1\na=2", {"a": "2"}),
        ("list=one,\\\n    two,\\\n    three\nb=1", {"list": "one,two,three", "b": "1"}),
        ("a=1\\\n# not a comment", {"a": "1# not a comment"}),
        ("path=c\\:\\\\dir\\\\", {"path": "c:\\dir\\"}),
        ("tab\\ key=x\\ty\\nz", {"tab key": "x\ty\nz"}),
        ("u=\\u00e9", {"u": "é"}),
        ("a=last\\", {"a": "last"}),
    ],
)
def test_reads_as_java_does(text: str, pairs: dict[str, str]) -> None:
    assert parse_properties(text) == pairs


@pytest.mark.parametrize("text", ["a=\\u12", "a=\\uzzzz"])
def test_a_broken_escape_names_its_line(text: str) -> None:
    with pytest.raises(ConfigError, match=r"broken .* escape in line"):
        parse_properties(text)
