"""Compiles the decode function of one message class in one version.

The generated function walks the buffer once, nested structs inlined, adjacent fixed-size fields read by one struct
call. Bounds are checked where it is cheap and sufficient: fixed-size reads and bytes raise by themselves at the end
of the buffer, list lengths are held against the bytes that remain (so a forged length allocates nothing), lengths
below zero are refused, and whether a string reached beyond the end shows in the final position.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from protocol.generated_code import Source, array_method, fixed_run, split_fields
from protocol.spec import Field, Struct, WireType
from protocol.varint import MalformedMessage, read_unsigned_varint

Decoder = Callable[[Any, int], Any]


def compile_decoder(cls: type[Struct], version: int, flexible: bool) -> Decoder:
    """`decoder(buffer, offset) -> message`. It may raise struct.error, IndexError and UnicodeDecodeError too."""
    return _DecoderWriter(version, flexible, has_records(cls)).compile(cls)


def has_records(cls: type[Struct]) -> bool:
    """Whether a record batch may travel in this struct or below it."""
    return any(
        each.item.name == "records" if isinstance(each.item, WireType) else has_records(each.item)
        for each in cls.schema.fields
    )


def _malformed(field_name: str) -> None:
    raise MalformedMessage(f"the length of {field_name!r} can't be right")


class _DecoderWriter:
    """Writes one decode function. `b` is the buffer, `p` the position, `n` the end, `m` a view for records."""

    def __init__(self, version: int, flexible: bool, has_records: bool):
        self._version = version
        self._flexible = flexible
        self._has_records = has_records
        self._source = Source()
        self._run: list[tuple[str, str]] = []  # (struct code, target) of fixed-size reads not written yet

    def compile(self, cls: type[Struct]) -> Decoder:
        source = self._source
        source.constant("malformed", _malformed)
        source.constant("varint", read_unsigned_varint)
        source.constant("new", object.__new__)
        # Without records the message is small and everything is copied out anyway: bytes are quicker than a view.
        if self._has_records:
            source.line("m = b if type(b) is memoryview else memoryview(b)")
        else:
            source.line("if type(b) is not bytes: b = bytes(b)")
        source.line("n = len(b)")
        self._struct(cls, "root")
        source.line("if p > n: malformed('message')")
        source.line("return root")
        return source.compile("decode(b, p)", f"decode {cls.__name__} v{self._version}")

    def _struct(self, cls: type[Struct], target: str) -> None:
        source = self._source
        plain, tagged, absent = split_fields(cls, self._version, self._flexible)
        self._flush()
        source.line(f"{target} = new({source.constant(cls.__name__, cls)})")
        for each in [*absent, *tagged]:
            source.line(f"{target}.{each.name} = {self._default(each)}")
        for each in plain:
            self._value(each, f"{target}.{each.name}")
        if self._flexible:
            self._tagged_section(tagged, target)
        self._flush()

    def _default(self, each: Field) -> str:
        if each.is_null_by_default:
            return "None"
        if each.is_list:
            return "[]"
        if isinstance(each.item, WireType):
            return repr(each.default)
        return f"{self._source.constant(each.item.__name__, each.item)}()"

    def _value(self, each: Field, target: str) -> None:
        if each.is_list:
            self._list(each, target)
        elif not isinstance(each.item, WireType):
            self._nested(each, each.item, target)
        elif each.item.code:
            self._run.append((each.item.code, target))
        else:
            self._sized(each, each.item, target, self._version in each.nullable)

    def _nested(self, each: Field, item: type[Struct], target: str) -> None:
        nested = self._source.new_name("o")
        if self._version not in each.nullable:
            self._struct(item, nested)
            self._source.line(f"{target} = {nested}")
            return
        presence = self._source.new_name("l")
        self._run.append(("b", presence))
        self._flush()
        self._branch(f"if {presence} < 0:", f"{target} = None")
        self._source.line("else:")
        self._source.indent()
        self._struct(item, nested)
        self._source.line(f"{target} = {nested}")
        self._source.dedent()

    def _sized(self, each: Field, item: WireType, target: str, is_nullable: bool) -> None:
        """A string, bytes or records."""
        source = self._source
        length, is_compact = self._length(each, "h" if item.name == "string" else "i")
        end = f"p + {length} - 1" if is_compact else f"p + {length}"
        if item.name == "records":
            value = "m[p:q]"
        elif self._has_records:
            value = "str(b[p:q], 'utf-8')" if item.name == "string" else "bytes(b[p:q])"
        else:
            value = "b[p:q].decode()" if item.name == "string" else "b[p:q]"
        missing = f"not {length}" if is_compact else f"{length} < 0"
        if not is_nullable:
            source.line(f"if {missing}: malformed({each.name!r})")
            source.line(f"q = {end}; {target} = {value}; p = q")
            return
        self._branch(f"if {missing}:", f"{target} = None")
        self._branch("else:", f"q = {end}; {target} = {value}; p = q")

    def _list(self, each: Field, target: str) -> None:
        source = self._source
        item = each.item
        count, is_compact = self._length(each, "i")
        if is_compact:
            source.line(f"{count} -= 1")
        element_size = item.byte_count if isinstance(item, WireType) and item.code else 1
        needed = f"{count} * {element_size}" if element_size > 1 else count
        is_nullable = self._version in each.nullable
        if is_nullable:
            self._branch(f"if {count} < 0:", f"{target} = None")
            self._branch(f"elif {needed} > n - p:", f"malformed({each.name!r})")
            source.line("else:")
            source.indent()
        else:
            self._branch(f"if {count} < 0 or {needed} > n - p:", f"malformed({each.name!r})")
        if isinstance(item, WireType) and item.code:
            self._fixed_elements(item, count, target)
        else:
            self._elements(each, count, target)
        if is_nullable:
            source.dedent()

    def _fixed_elements(self, item: WireType, count: str, target: str) -> None:
        size = item.byte_count
        if item.name == "uuid":
            self._source.line(f"{target} = [bytes(b[q:q + {size}]) for q in range(p, p + {count} * {size}, {size})]")
        else:
            name = self._source.constant(f"unpack_many_{item.name}", array_method(item.code, "unpack_from"))
            self._source.line(f"{target} = list({name}[{count}](b, p))")
        self._source.line(f"p += {count} * {size}")

    def _elements(self, each: Field, count: str, target: str) -> None:
        source = self._source
        values, element = source.new_name("v"), source.new_name("o")
        source.line(f"{values} = []")
        source.line(f"for _ in range({count}):")
        source.indent()
        if isinstance(each.item, WireType):
            self._sized(each, each.item, element, is_nullable=False)
        else:
            self._struct(each.item, element)
        source.line(f"{values}.append({element})")
        source.dedent()
        source.line(f"{target} = {values}")

    def _tagged_section(self, tagged: list[Field], target: str) -> None:
        source = self._source
        count = self._varint()
        tag, size, end = (source.new_name(stem) for stem in ("k", "z", "e"))
        source.line(f"if {count}:")
        source.indent()
        source.line(f"for _ in range({count}):")
        source.indent()
        source.line(f"{tag}, p = varint(b, p); {size}, p = varint(b, p); {end} = p + {size}")
        for each in tagged:
            source.line(f"if {tag} == {each.tag}:")
            source.indent()
            self._value(each, f"{target}.{each.name}")
            self._flush()
            source.line(f"if p != {end}: malformed({each.name!r})")
            source.line("continue")
            source.dedent()
        source.line(f"p = {end}")
        source.dedent()
        source.dedent()

    def _length(self, each: Field, code: str) -> tuple[str, bool]:
        """Read a length prefix; (variable, whether it is the compact form: one more than the length, 0 for null)."""
        if self._flexible and each.flexible:
            return self._varint(), True
        length = self._source.new_name("l")
        self._run.append((code, length))
        self._flush()
        return length, False

    def _varint(self) -> str:
        value = self._source.new_name("l")
        self._run.append(("B", value))
        self._flush()
        self._source.line(f"if {value} > 127: {value}, p = varint(b, p - 1)")
        return value

    def _flush(self) -> None:
        """Write the pending fixed-size reads as one."""
        if not self._run:
            return
        codes = "".join(code for code, _ in self._run)
        targets = ", ".join(target for _, target in self._run)
        self._run.clear()
        if codes == "B":
            self._source.line(f"{targets} = b[p]; p += 1")
            return
        run = fixed_run(codes)
        name = self._source.constant("unpack_" + codes.replace("?", "t"), run.unpack_from)
        comma = "," if ", " not in targets else ""
        self._source.line(f"{targets}{comma} = {name}(b, p); p += {run.size}")

    def _branch(self, condition: str, statement: str) -> None:
        self._source.line(condition)
        self._source.indent()
        self._source.line(statement)
        self._source.dedent()
