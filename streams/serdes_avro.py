"""Avro values through fastavro (extra `avro`)."""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Mapping
from typing import Any

from streams.errors import SerdeError
from streams.serdes import Serde

_CONFLUENT = struct.Struct(">bI")


class AvroSerde(Serde[Any]):
    """Dicts (or whatever the schema says) as Avro's binary encoding.

    `schema` is Avro's own: a dict, or its JSON text. `reader_schema` reads what was written with `schema` as a newer or
    older version of it. With `schema_id` every value begins with the five bytes of Confluent's wire format (0, id):
    so do other clients write it that use a schema registry; ids other than ours are then refused unless `schemas` has
    their schema. The registry itself is not asked.
    """

    def __init__(
        self,
        schema: Mapping[str, Any] | str | list[Any],
        *,
        reader_schema: Mapping[str, Any] | str | None = None,
        schema_id: int | None = None,
        schemas: Mapping[int, Mapping[str, Any] | str] | None = None,
    ) -> None:
        try:
            import fastavro
        except ImportError as error:
            raise SerdeError("Avro needs a package: pip install 'odradek[avro]'") from error
        self._given = (schema, reader_schema, schema_id, schemas)
        self._write, self._read = fastavro.schemaless_writer, fastavro.schemaless_reader
        self._schema = fastavro.parse_schema(_plain(schema))
        self._reader_schema = None if reader_schema is None else fastavro.parse_schema(_plain(reader_schema))
        self._id = schema_id
        self._schemas = {number: fastavro.parse_schema(_plain(other)) for number, other in (schemas or {}).items()}
        if schema_id is not None:
            self._schemas[schema_id] = self._schema
        name = self._schema.get("name", "?") if isinstance(self._schema, dict) else str(self._schema)
        self.name = f"Avro[{name}]"

    def encode(self, value: Any) -> bytes:
        target = io.BytesIO()
        if self._id is not None:
            target.write(_CONFLUENT.pack(0, self._id))
        self._write(target, self._schema, value)
        return target.getvalue()

    def decode(self, data: bytes) -> Any:
        source, schema = io.BytesIO(data), self._schema
        if self._id is not None:
            if len(data) < _CONFLUENT.size or data[0] != 0:
                raise SerdeError(f"{self.name}: the value does not begin with a schema id")
            number = _CONFLUENT.unpack(source.read(_CONFLUENT.size))[1]
            if number not in self._schemas:
                raise SerdeError(f"{self.name}: schema {number} is not known here; give it in `schemas`")
            schema = self._schemas[number]
        value = self._read(source, schema, self._reader_schema)
        if source.read(1):
            raise SerdeError(f"{self.name}: there are bytes behind the value")
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return _avro, self._given

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AvroSerde) and other._given == self._given

    def __hash__(self) -> int:
        return hash(self.name)


def _avro(schema: Any, reader_schema: Any, schema_id: Any, schemas: Any) -> AvroSerde:
    return AvroSerde(schema, reader_schema=reader_schema, schema_id=schema_id, schemas=schemas)


def _plain(schema: Any) -> Any:
    """Avro's primitive types are names; everything else that is text is JSON."""
    if isinstance(schema, str) and schema.lstrip()[:1] in ("{", "[", '"'):
        return json.loads(schema)
    return schema
