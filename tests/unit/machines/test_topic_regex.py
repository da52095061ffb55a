"""Patterns over topic names: the same answers as Python's own, in linear time."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from machines.topic_regex import BadPattern, TopicRegex

PATTERNS = [
    "", ".*", "a.*", "^foo-[a-c]+\\d{2,3}$", "(x|y|zz)*k?", "(?i)ABC[^d-f].", "a|b|", "\\w+-\\w*", "(a*)*b", "[^\\d_]+",
    "a{0,3}b{2}", "(?:ab){1,}c??", "\\Aab\\Z", "[a-cx-z]+", "(?i:aB)c", "a(b(c|d))?\\.e",
]  # fmt: skip


@given(st.sampled_from(PATTERNS), st.text("abcdefkxyzABC_-.0123", max_size=9))
def test_it_matches_what_python_matches(pattern, name):
    assert TopicRegex(pattern).matches(name) == bool(re.fullmatch(pattern, name))


@pytest.mark.parametrize(
    "pattern", ["(", "a(?=b)", "(a)\\1", "\\bx", "a{100000}", "(((){1000}){1000}){1000}", "a" * 10_001, "(?>a)"]
)
def test_what_has_no_linear_match_or_is_too_large_is_refused(pattern):
    with pytest.raises(BadPattern):
        TopicRegex(pattern)


def test_a_pattern_that_ruins_backtracking_is_harmless():
    assert not TopicRegex("(a*)*(a|aa)*b").matches("a" * 249)


def test_it_goes_on_when_it_has_met_many_states():
    regex = TopicRegex(".*(a|b|c|d)[a-z]{8}x")
    names = [f"{n:b}".replace("0", "a").replace("1", "q").rjust(30, "d") for n in range(3000)]
    assert not any(regex.matches(name) for name in names)
    assert regex.matches("zzabbbbbbbbx")
