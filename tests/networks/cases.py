"""Each call of an operation while a network is traced, as what tells it from other calls."""

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from mattingjax.networks import ModelConfig, create_model, operations
from mattingjax.networks.padding import Padding
from mattingjax.networks.replacement import Operation, Replacements, replace_operations


class Case(NamedTuple):
    """A way of calling an operation; None is what it does not have.

    Attributes:
      name: The operation's name.
      taps: Height and width of the kernel, which is square.
      stride, dilation, padding: Of a convolution.
      half_pixel: Of a resizing.
      epsilon: Of a normalisation.
    """

    name: str
    taps: int | None = None
    stride: int | None = None
    dilation: int | None = None
    padding: Padding | None = None
    half_pixel: bool | None = None
    epsilon: float | None = None

    @property
    def operation(self) -> Operation:
        return getattr(operations, self.name)


def record_cases(config: ModelConfig, *, train: bool, replacements: Replacements) -> set[Case]:
    """The cases of a network, traced without values.

    Args:
      config: Of the network.
      train: Whether it is traced as in training, with all its heads.
      replacements: What else it is traced with, as these may call operations themselves.
    """
    cases: set[Case] = set()

    def recorded(operation: Operation, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def record(*args: Any, **kwargs: Any) -> Any:
            cases.add(_case(operation, args, kwargs))
            return function(*args, **kwargs)

        return record

    recording = {
        value: recorded(value, replacements.get(value, value.plain))
        for value in vars(operations).values()
        if isinstance(value, Operation)
    }
    model = create_model(config)

    def run(image: jax.Array) -> Any:
        with replace_operations(recording):
            return model.init_with_output(jax.random.key(0), image, train=train)

    jax.eval_shape(run, jax.ShapeDtypeStruct((2, 64, 96, 3), np.float32))
    return cases


def _case(operation: Operation, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Case:
    bound = inspect.signature(operation.plain).bind(*args, **kwargs)
    bound.apply_defaults()
    given = {name: bound.arguments[name] for name in Case._fields if name in bound.arguments}
    if 'kernel' in bound.arguments:
        height, width = bound.arguments['kernel'].shape[:2]
        assert height == width
        given['taps'] = height
    return Case(operation.plain.__name__, **given)
