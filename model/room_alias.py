"""A second name for a package: `odradek.streams` for `streams`, where `odradek` is a module and no package.

Python looks into sys.modules before it asks whether `odradek` has a path. So a stand-in waits there that costs nothing,
imports the package when something is asked of it, and then makes way for it. Type checkers know nothing of this: in a
checkout they want `from streams import …`, which is the very same package.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import sys
from types import ModuleType
from typing import Any


class _StandIn(ModuleType):
    """Until it is first asked for something."""

    def __init__(self, name: str, real: str) -> None:
        super().__init__(name)
        self.__dict__["_real"] = real
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name not in ("__all__", "__doc__", "__file__"):
            raise AttributeError(name)
        real = importlib.import_module(self.__dict__["_real"])
        sys.modules[self.__name__] = real
        return getattr(real, name)


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds `alias.x.y` as `real.x.y`: one module, however it is called."""

    def __init__(self, alias: str, real: str) -> None:
        self._alias = f"{alias}."
        self._real = f"{real}."
        self._specs: dict[str, Any] = {}

    def find_spec(
        self, fullname: str, path: Any = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if not fullname.startswith(self._alias):
            return None
        return importlib.machinery.ModuleSpec(fullname, self)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._real + spec.name.removeprefix(self._alias))
        self._specs[spec.name] = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It ran when it was imported; only its own spec comes back, which the import system has overwritten."""
        name = getattr(module.__spec__, "name", "")
        module.__spec__ = self._specs.pop(name, module.__spec__)


def install(alias: str, real: str) -> None:
    """Idempotent."""
    if alias not in sys.modules:
        sys.modules[alias] = _StandIn(alias, real)
        sys.meta_path.insert(0, _Finder(alias, real))
