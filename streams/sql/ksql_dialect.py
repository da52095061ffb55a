"""What sqlglot has to know of ksqlDB's spellings."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlglot import exp, parser, tokens
from sqlglot.dialects.dialect import Dialect


def _arrow_lambda(parser: Any, parameters: list[Any]) -> Any:
    return parser.expression(exp.Lambda(this=parser._parse_disjunction(), expressions=parameters))


class Ksql(Dialect):
    """Every function is just a name with arguments (ours to know), `->` a field of a struct, `=>` a lambda."""

    class Tokenizer(tokens.Tokenizer):
        IDENTIFIERS: ClassVar[list[Any]] = ["`", '"']

    class Parser(parser.Parser):
        FUNCTIONS: ClassVar[dict[str, Any]] = {}
        FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CAST": parser.Parser.FUNCTION_PARSERS["CAST"]}
        NO_PAREN_FUNCTIONS: ClassVar[dict[Any, Any]] = {}
        NO_PAREN_FUNCTION_PARSERS: ClassVar[dict[str, Any]] = {"CASE": parser.Parser.NO_PAREN_FUNCTION_PARSERS["CASE"]}
        LAMBDAS: ClassVar[dict[Any, Any]] = {tokens.Tokenizer.KEYWORDS["=>"]: _arrow_lambda}
