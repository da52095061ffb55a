"""Compiles the encode function of one message class in one version.

The generated function appends small pieces to a list and joins them once. Adjacent fixed-size fields, length
prefixes and empty tagged sections among them, are packed by one struct call. Record batches of `OWN_CHUNK` bytes or
more are never copied: they stand as chunks of their own between the joined ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from model.errors import UnsupportedVersion
from protocol.generated_code import Source, array_method, fixed_run, split_fields
from protocol.spec import Buffer, Field, Struct, WireType
from protocol.varint import ONE_BYTE, unsigned_varint

Encoder = Callable[[Any, list[Buffer]], bytes]

OWN_CHUNK = 4096


def compile_encoder(cls: type[Struct], version: int, flexible: bool) -> Encoder:
    """`encoder(message, chunks) -> tail`: the bytes are those of `chunks`, which it fills, followed by `tail`.

    Beside UnsupportedVersion it raises struct.error, TypeError or AttributeError for values of the wrong type.
    """
    return _EncoderWriter(version, flexible).compile(cls)


def _unsupported(name: str, version: int) -> None:
    raise UnsupportedVersion(f"{name} is set, but version {version} does not have it")


class _EncoderWriter:
    """Writes one encode function. `a` appends a piece to the list `w`; `chunks` holds what is finished."""

    def __init__(self, version: int, flexible: bool):
        self._version = version
        self._flexible = flexible
        self._source = Source()
        self._run: list[tuple[str, str]] = []  # (struct code, expression) of fixed-size writes not written yet
        self._inside_tag = 0

    def compile(self, cls: type[Struct]) -> Encoder:
        source = self._source
        source.constant("one_byte", ONE_BYTE)
        source.constant("varint", unsigned_varint)
        source.constant("unsupported", _unsupported)
        source.line("w = []; a = w.append")
        self._struct(cls, "root")
        self._flush()
        source.line("return b''.join(w)")
        return source.compile("encode(root, chunks)", f"encode {cls.__name__} v{self._version}")

    def _struct(self, cls: type[Struct], value: str) -> None:
        plain, tagged, absent = split_fields(cls, self._version, self._flexible)
        for each in absent:
            if not each.ignorable:
                what = f"{cls.__name__}.{each.name}"
                is_set = self._differs_from_default(each, f"{value}.{each.name}")
                self._source.line(f"if {is_set}: unsupported({what!r}, {self._version})")
        for each in plain:
            self._value(each, f"{value}.{each.name}")
        if self._flexible:
            self._tagged_section(tagged, value)

    def _differs_from_default(self, each: Field, value: str) -> str:
        if each.is_null_by_default:
            return f"{value} is not None"
        if each.is_list or (isinstance(each.item, WireType) and each.default in (0, "", b"", False)):
            return value
        if isinstance(each.item, WireType):
            return f"{value} != {each.default!r}"
        return f"{value} != {self._source.constant(f'default_{each.item.__name__}', each.item())}"

    def _value(self, each: Field, value: str) -> None:
        is_nullable = self._version in each.nullable
        if each.is_list:
            self._list(each, value, is_nullable)
        elif not isinstance(each.item, WireType):
            self._nested(each.item, value, is_nullable)
        elif each.item.code:
            self._run.append((each.item.code, value))
        elif each.item.name == "records":
            self._records(each, value, is_nullable)
        else:
            self._sized(each, each.item, value, is_nullable)

    def _nested(self, item: type[Struct], value: str, is_nullable: bool) -> None:
        source = self._source
        nested = source.new_name("o")
        source.line(f"{nested} = {value}")
        if not is_nullable:
            self._struct(item, nested)
            return
        self._flush()
        source.line(f"if {nested} is None: a(b'\\xff')")
        source.line("else:")
        source.indent()
        self._run.append(("b", "1"))
        self._struct(item, nested)
        self._flush()
        source.dedent()

    def _sized(self, each: Field, item: WireType, value: str, is_nullable: bool) -> None:
        """A string or bytes."""
        source = self._source
        content, length = source.new_name("s"), source.new_name("l")
        encode = ".encode()" if item.name == "string" else ""
        if is_nullable:
            source.line(f"{content} = {value}")
            source.line(f"if {content} is None: {content} = b''; {length} = -1")
            source.line(f"else: {content} = {content}{encode}; {length} = len({content})")
        else:
            source.line(f"{content} = {value}{encode}; {length} = len({content})")
        self._length(each, length, "h" if item.name == "string" else "i")
        self._flush()
        source.line(f"a({content})")

    def _records(self, each: Field, value: str, is_nullable: bool) -> None:
        source = self._source
        content, length, piece = source.new_name("s"), source.new_name("l"), source.new_name("o")
        source.line(f"{content} = {value}")
        pieces = f"{length} = sum(map(len, {content}))"
        if is_nullable:
            source.line(f"if {content} is None: {content} = (); {length} = -1")
            source.line(f"elif type({content}) is list: {pieces}")
        else:
            source.line(f"if type({content}) is list: {pieces}")
        source.line(f"else: {length} = len({content}); {content} = ({content},)")
        self._length(each, length, "i")
        self._flush()
        source.line(f"for {piece} in {content}:")
        source.indent()
        source.line(f"if len({piece}) < {OWN_CHUNK}: a({piece})")
        source.line(f"else: chunks.append(b''.join(w)); chunks.append({piece}); w.clear()")
        source.dedent()
        assert not self._inside_tag, "records in a tagged field can't be a chunk of their own"

    def _list(self, each: Field, value: str, is_nullable: bool) -> None:
        source = self._source
        values = source.new_name("v")
        source.line(f"{values} = {value}")
        if is_nullable:
            length = source.new_name("l")
            source.line(f"if {values} is None: {values} = (); {length} = -1")
            source.line(f"else: {length} = len({values})")
        else:
            length = f"len({values})"
        self._length(each, length, "i")
        self._flush()
        if isinstance(each.item, WireType) and each.item.code:
            name = source.constant(f"pack_many_{each.item.name}", array_method(each.item.code, "pack"))
            packed = f"b''.join({values})" if each.item.name == "uuid" else f"{name}[len({values})](*{values})"
            source.line(f"a({packed})")
            return
        element = source.new_name("o")
        source.line(f"for {element} in {values}:")
        source.indent()
        if isinstance(each.item, WireType):
            self._sized(each, each.item, element, is_nullable=False)
        else:
            self._struct(each.item, element)
        self._flush()
        source.dedent()

    def _tagged_section(self, tagged: list[Field], value: str) -> None:
        source = self._source
        if not tagged:
            self._run.append(("x", ""))  # a zero byte
            return
        self._flush()
        is_set = [self._differs_from_default(each, f"{value}.{each.name}") for each in tagged]
        sections, inner, outer = (source.new_name(stem) for stem in ("t", "w", "a"))
        source.line(f"if not ({' or '.join(is_set)}): a(b'\\0')")
        source.line("else:")
        source.indent()
        source.line(f"{sections} = []; {outer} = a")
        self._inside_tag += 1
        for each, condition in zip(tagged, is_set, strict=True):
            source.line(f"if {condition}:")
            source.indent()
            source.line(f"{inner} = []; a = {inner}.append")
            self._value(each, f"{value}.{each.name}")
            self._flush()
            source.line(f"{inner} = b''.join({inner})")
            source.line(f"{sections} += varint({each.tag}), varint(len({inner})), {inner}")
            source.dedent()
        self._inside_tag -= 1
        source.line(f"a = {outer}")
        source.line(f"a(varint(len({sections}) // 3)); a(b''.join({sections}))")
        source.dedent()

    def _length(self, each: Field, length: str, code: str) -> None:
        """Write a length prefix; `length` is an expression that is -1 for null."""
        if not (self._flexible and each.flexible):
            self._run.append((code, length))
            return
        self._flush()
        compact = self._source.new_name("c")
        self._source.line(f"{compact} = {length} + 1")
        self._source.line(f"a(one_byte[{compact}] if {compact} < 128 else varint({compact}))")

    def _flush(self) -> None:
        """Write the pending fixed-size writes as one."""
        if not self._run:
            return
        codes = "".join(code for code, _ in self._run)
        values = ", ".join(value for code, value in self._run if code != "x")
        self._run.clear()
        if not values:
            self._source.line(f"a({bytes(len(codes))!r})")
            return
        name = self._source.constant("pack_" + codes.replace("?", "t"), fixed_run(codes).pack)
        self._source.line(f"a({name}({values}))")
