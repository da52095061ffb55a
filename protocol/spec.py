"""How a message is declared: wire types, version ranges, fields.

A message is a class whose annotations are wire types and whose values say in which versions a field exists:

    class HeartbeatRequest(Message, key=12, versions="0-4", flexible="4+"):
        group_id: String = field("0+")
        generation_id: Int32 = field("0+")
        group_instance_id: String | None = field("3+", nullable="3+", default=None)

Version ranges are written as Kafka writes them ("3-13", "9+", "2", "none") and kept as Python ranges. From such
classes `decoding.py` and `encoding.py` compile one function per version, on first use: importing is cheap.
Attributes are slots; every field has a default, so a constructor call names only what differs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, cast, dataclass_transform, get_args, get_origin, get_type_hints

Buffer = bytes | bytearray | memoryview

NO_UUID = bytes(16)


@dataclass(frozen=True, slots=True)
class WireType:
    """A type that is not a struct. `code` is the struct format of a fixed-size one, empty for the others."""

    name: str
    code: str
    zero: Any

    @property
    def byte_count(self) -> int:
        """Bytes of a fixed-size value."""
        return {"b": 1, "?": 1, "h": 2, "H": 2, "i": 4, "q": 8, "d": 8, "16s": 16}[self.code]


Bool = Annotated[bool, WireType("bool", "?", False)]
Int8 = Annotated[int, WireType("int8", "b", 0)]
Int16 = Annotated[int, WireType("int16", "h", 0)]
Uint16 = Annotated[int, WireType("uint16", "H", 0)]
Int32 = Annotated[int, WireType("int32", "i", 0)]
Int64 = Annotated[int, WireType("int64", "q", 0)]
Float64 = Annotated[float, WireType("float64", "d", 0.0)]
Uuid = Annotated[bytes, WireType("uuid", "16s", NO_UUID)]  # 16 raw bytes
String = Annotated[str, WireType("string", "", "")]
Bytes = Annotated[bytes, WireType("bytes", "", b"")]  # decoded as a copy: it may outlive its frame
Records = Annotated[Buffer, WireType("records", "", b"")]  # decoded as a view on the frame
RecordPieces = Annotated[Buffer | list[Buffer], WireType("records", "", b"")]  # a list is written back to back


@functools.cache
def version_range(text: str) -> range:
    """The versions that "3-13", "9+", "2" or "none" stand for."""
    if text == "none":
        return range(0)
    low, dash, high = text.removesuffix("+").partition("-")
    if text.endswith("+"):
        return range(int(low), 1 << 15)
    return range(int(low), int(high if dash else low) + 1)


_UNSET: Any = object()


class FieldDeclaration:
    """What `field()` leaves in a class body until the metaclass picks it up."""

    __slots__ = ("default", "flexible", "ignorable", "nullable", "tag", "versions")

    def __init__(self, versions: str, nullable: str, default: Any, tag: int | None, ignorable: bool, flexible: bool):
        self.versions = versions
        self.nullable = nullable
        self.default = default
        self.tag = tag
        self.ignorable = ignorable
        self.flexible = flexible


def field(
    versions: str,
    *,
    nullable: str = "none",
    default: Any = _UNSET,
    tag: int | None = None,
    ignorable: bool = False,
    flexible: bool = True,
) -> Any:
    """Declare a field that exists in `versions` and may be None in `nullable` ones.

    `tag` makes it a tagged field. `ignorable` fields are dropped silently when a version lacks them; setting any
    other one raises UnsupportedVersion. `flexible=False` keeps the old length prefix in flexible versions.
    """
    return FieldDeclaration(versions, nullable, default, tag, ignorable, flexible)


@dataclass(frozen=True, slots=True)
class Field:
    """A declared field with its type resolved. `item` is what the value, or each element of the list, is."""

    name: str
    item: WireType | type[Struct]
    is_list: bool
    versions: range
    nullable: range
    default: Any  # None for "a fresh empty list" and "a fresh struct" too, unless is_null_by_default
    is_null_by_default: bool
    tag: int | None
    ignorable: bool
    flexible: bool

    def new_default(self) -> Any:
        """A value that shares nothing with other messages."""
        if self.is_null_by_default:
            return None
        if self.is_list:
            return []
        return self.default if isinstance(self.item, WireType) else self.item()


class Schema:
    """What is known of a struct class; `fields` resolves the annotations when first asked."""

    def __init__(self, owner: type[Struct], declarations: dict[str, FieldDeclaration]):
        self.owner = owner
        self.declarations = declarations

    @functools.cached_property
    def fields(self) -> tuple[Field, ...]:
        hints = get_type_hints(self.owner, include_extras=True)
        return tuple(_resolve(name, hints[name], declared) for name, declared in self.declarations.items())


def _resolve(name: str, hint: Any, declared: FieldDeclaration) -> Field:
    alternatives = get_args(hint)
    if get_origin(hint) not in (Annotated, list) and type(None) in alternatives:
        (hint,) = (alternative for alternative in alternatives if alternative is not type(None))
    is_list = get_origin(hint) is list
    if is_list:
        (hint,) = get_args(hint)
    item = get_args(hint)[-1] if get_origin(hint) is Annotated else hint
    default = declared.default
    is_null_by_default = default is None
    if default is _UNSET:
        default = item.zero if isinstance(item, WireType) and not is_list else None
    return Field(
        name=name,
        item=item,
        is_list=is_list,
        versions=version_range(declared.versions),
        nullable=version_range(declared.nullable),
        default=default,
        is_null_by_default=is_null_by_default,
        tag=declared.tag,
        ignorable=declared.ignorable,
        flexible=declared.flexible,
    )


class StructType(type):
    """Turns declared fields into slots."""

    def __new__(mcs, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **keywords: Any) -> StructType:
        declarations = {key: value for key, value in namespace.items() if isinstance(value, FieldDeclaration)}
        for key in declarations:
            del namespace[key]
        namespace["__slots__"] = tuple(declarations)
        created = super().__new__(mcs, name, bases, namespace, **keywords)
        cast(Any, created).schema = Schema(cast(Any, created), declarations)
        return created


@dataclass_transform(kw_only_default=True)
class Struct(metaclass=StructType):
    """A group of fields. Constructed with keywords, mutable, equal when type and all fields are equal."""

    schema: ClassVar[Schema]
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, **values: Any) -> None:
        # The first instance pays for a constructor that has the defaults built in.
        cls = type(self)
        type.__setattr__(cls, "__init__", compile_constructor(cls))
        cls.__init__(self, **values)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(getattr(self, name) == getattr(other, name) for name in self.schema.declarations)

    def __repr__(self) -> str:
        shown = (f"{name}={_abbreviated(getattr(self, name))}" for name in self.schema.declarations)
        return f"{type(self).__name__}({', '.join(shown)})"


def _abbreviated(value: object) -> str:
    if isinstance(value, (bytes, bytearray, memoryview)) and len(value) > 32:
        return f"<{len(value)} bytes>"
    return repr(value)


def compile_constructor(cls: type[Struct]) -> Any:
    """A keyword-only `__init__` that fills what is not given with the schema's defaults."""
    environment: dict[str, Any] = {"unset": _UNSET}
    parameters, lines = [], []
    for number, each in enumerate(cls.schema.fields):
        fresh = not each.is_null_by_default and (each.is_list or not isinstance(each.item, WireType))
        if fresh:
            environment[f"new{number}"] = list if each.is_list else each.item
            parameters.append(f"{each.name}=unset")
            lines.append(f"self.{each.name} = new{number}() if {each.name} is unset else {each.name}")
        else:
            parameters.append(f"{each.name}={each.default!r}")
            lines.append(f"self.{each.name} = {each.name}")
    star = "*, " if parameters else ""
    body = "\n    ".join(lines) or "pass"
    exec(f"def __init__(self, {star}{', '.join(parameters)}):\n    {body}", environment)
    return environment["__init__"]
