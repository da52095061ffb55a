"""Messages filled with reproducible random values, for round trips."""

from __future__ import annotations

import random
from typing import Any

from protocol.codec import Struct
from protocol.spec import Field, WireType

_LETTERS = "abcXYZ019-._ éß漢🧵"
_BITS = {"b": 8, "h": 16, "i": 32, "q": 64}


class RandomMessages:
    """The same seed gives the same messages. `modest` keeps numbers where kio's richer types can hold them."""

    def __init__(self, seed: str, *, modest: bool = False):
        self._random = random.Random(seed)
        self._modest = modest

    def message(self, cls: type[Struct], version: int) -> Any:
        """An instance that sets every field which `version` has, each list with 0-3 elements."""
        return cls(**{each.name: self._field(each, version) for each in cls.schema.fields if version in each.versions})

    def _field(self, each: Field, version: int) -> Any:
        if version in each.nullable and self._random.random() < 0.25:
            return None
        if each.is_list:
            return [self._item(each, version) for _ in range(self._random.choice((0, 1, 1, 2, 3)))]
        return self._item(each, version)

    def _item(self, each: Field, version: int) -> Any:
        if not isinstance(each.item, WireType):
            return self.message(each.item, version)
        match each.item.name:
            case "bool":
                return self._random.random() < 0.5
            case "string":
                return "".join(self._random.choices(_LETTERS, k=self._length()))
            case "uuid":
                return self._random.randbytes(16)
            case "bytes" | "records":
                return self._random.randbytes(self._length())
            case "float64":
                return self._random.uniform(-1e9, 1e9)
            case "uint16":
                return self._random.choice((0, 1, 9092, 65535))
        bits = _BITS[each.item.code]
        if self._modest:
            return self._random.randrange(0, 100)
        limit = 1 << (bits - 1)
        return self._random.choice((0, 1, -1, limit - 1, -limit, self._random.randrange(-limit, limit)))

    def _length(self) -> int:
        # Beyond 126 a compact length takes two bytes, beyond 16,382 three.
        return self._random.choice((0, 1, 3, 7, 12, 126, 127, self._random.randrange(128, 300)))
