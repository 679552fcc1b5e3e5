"""Operations: functions that can be replaced by others while a network is traced.

An `Operation` is a function that an exporter or a backend may compute in its own way:
`replace_operations` substitutes another function for it. So one definition of each network serves
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
    """A function that can be replaced by others of the same signature while a network is traced.

    A call goes to the function that `replace_operations` has put in its place; if there is none, to
    the one that `on` has registered for JAX's default backend; else to the function itself.

    Args:
      plain: The function itself.

    Attributes:
      plain: The function itself, whatever replaces it.
    """

    def __init__(self, plain: Callable[_P, _T_co]):
        functools.update_wrapper(self, plain)
        self.plain = plain
        self._on_backend: dict[str, Callable[_P, _T_co]] = {}

    def on(self, backend: str) -> Callable[[Callable[_P, _T_co]], Callable[_P, _T_co]]:
        """Makes a decorator for the function that is used on a backend, such as 'cpu'."""

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
    """Decorates a function so that it becomes an operation."""
    return Operation(function)


@contextlib.contextmanager
def replace_operations(replacements: Replacements) -> Iterator[None]:
    """Makes a context in which networks are traced with other functions in place of operations.

    A function that `jax.jit` has compiled before keeps the operations with which it was traced.

    Args:
      replacements: The functions to use, by the operation that each replaces.

    Raises:
      TypeError: A key is no operation.
    """
    for replaced in replacements:
        if not isinstance(replaced, Operation):
            raise TypeError(f'replacements: expected operations, got {replaced!r}')
    token = _REPLACEMENTS.set(replacements)
    try:
        yield
    finally:
        _REPLACEMENTS.reset(token)
