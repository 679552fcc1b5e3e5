"""Functions that others can stand in for while a network is traced.

Whatever an exporter or a backend may want to compute in its own way is an `Operation`, and
`replace_operations` puts another function in its place: one definition of each network serves
training, prediction and export.
"""

from __future__ import annotations

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, ParamSpec, TypeVar

import jax

_P = ParamSpec('_P')
_T_co = TypeVar('_T_co', covariant=True)
Replacements = Mapping['Operation[..., Any]', Callable[..., Any]]
_REPLACEMENTS: contextvars.ContextVar[Replacements] = contextvars.ContextVar(
    'replacements',
    default={},  # noqa: B039 (never changed in place)
)


class Operation(Generic[_P, _T_co]):
    """A function that other functions of its signature can stand in for while a network is traced.

    Called, it is what `replace_operations` puts in its place; else what `on` has for JAX's default
    backend; else the function itself.

    Args:
      plain: The function itself.

    Attributes:
      plain: The function itself, which is never replaced.
    """

    def __init__(self, plain: Callable[_P, _T_co]):
        functools.update_wrapper(self, plain)
        self.plain = plain
        self._on_backend: dict[str, Callable[_P, _T_co]] = {}

    def on(self, backend: str) -> Callable[[Callable[_P, _T_co]], Callable[_P, _T_co]]:
        """Decorates what computes it on a backend ('cpu') where the function itself is slow."""

        def register(function: Callable[_P, _T_co]) -> Callable[_P, _T_co]:
            self._on_backend[backend] = function
            return function

        return register

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _T_co:
        function = _REPLACEMENTS.get().get(self)
        if function is None and self._on_backend:
            function = self._on_backend.get(jax.default_backend())
        return (function or self.plain)(*args, **kwargs)

    def __repr__(self) -> str:
        return f'Operation({self.plain.__name__})'


def operation(function: Callable[_P, _T_co]) -> Operation[_P, _T_co]:
    """Makes an operation of a function."""
    return Operation(function)


@contextlib.contextmanager
def replace_operations(replacements: Replacements) -> Iterator[None]:
    """Within it, networks are traced with other functions of the same signatures.

    What `jax.jit` has compiled before keeps the operations it was traced with: trace anew.

    Args:
      replacements: Operation → the function in its place.

    Raises:
      TypeError: One of those to be replaced is no operation.
    """
    for replaced in replacements:
        if not isinstance(replaced, Operation):
            raise TypeError(f'replacements: expected operations, got {replaced!r}')
    token = _REPLACEMENTS.set(replacements)
    try:
        yield
    finally:
        _REPLACEMENTS.reset(token)
