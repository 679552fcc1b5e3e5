"""Names of a package that are imported when somebody asks for them (PEP 562)."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def load_on_demand(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """Makes the function `__getattr__` of a package whose import must stay light.

    Args:
      package: The name of the package.
      homes: Each name that the package offers → the module that defines it.

    Returns:
      A function that imports the module of a name, keeps the name in the package, and returns its
      value; it raises AttributeError for any other name.
    """

    def load(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        value = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return load
