"""Matches the tensors of a file with the variables of a network: none left over, none missing."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping

import flax.traverse_util
import numpy as np

from mattingjax.errors import WeightsError, one_line
from mattingjax.networks import (
    ModelConfig,
    Variables,
    find_bad_value,
    init_variables,
    variable_shapes,
)

Shape = tuple[int, ...]
_MAX_NAME = 200  # characters; the longest name in MODNet has 58


@dataclasses.dataclass(frozen=True)
class Source:
    """The tensor of a file that a variable is read from.

    Attributes:
      name: The tensor's name in the file.
      axes: The tensor's axes in the order of the variable, for `tensor.transpose(axes)`; None if
        the order is the same.
      pixel: Whether the tensor is a matrix and the variable a 1×1 convolution kernel.
    """

    name: str
    axes: tuple[int, ...] | None = None
    pixel: bool = False

    def foreign_shape(self, shape: Shape) -> Shape:
        """The shape that the tensor must have for the variable to have `shape`."""
        shape = shape[2:] if self.pixel else shape
        if self.axes is None:
            return shape
        return tuple(shape[self.axes.index(axis)] for axis in range(len(shape)))

    def convert(self, tensor: np.ndarray) -> np.ndarray:
        """Converts the tensor to float32 in the variable's layout."""
        tensor = tensor.transpose(self.axes) if self.axes else tensor
        return np.ascontiguousarray(tensor[None, None] if self.pixel else tensor, np.float32)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that a file may hold.

    Attributes:
      config: The configuration of the network.
      find_source: Takes the path of a variable ('params/…/kernel') and returns its source.
    """

    config: ModelConfig
    find_source: Callable[[str], Source]

    def sources(self) -> dict[str, tuple[Source, Shape]]:
        """The path of each variable → its source, and its shape."""
        flat = flax.traverse_util.flatten_dict(variable_shapes(self.config), sep='/')
        return {path: (self.find_source(path), leaf.shape) for path, leaf in flat.items()}


def check_tensor_name(name: str) -> str:
    """Returns the name of a tensor; raises WeightsError if it is longer than any network's."""
    if len(name) > _MAX_NAME:
        found = f'{one_line(name, 60)}: a name of {len(name)} characters'
        raise WeightsError(f'{found}, expected at most {_MAX_NAME}')
    return name


def find_problems(
    candidate: Candidate, shapes: Mapping[str, Shape], optional: tuple[str, ...] = ()
) -> list[str]:
    """Lists why the tensors of a file do not fit a network.

    Args:
      candidate: The network.
      shapes: Name → shape of every tensor in the file that was not ignored on purpose.
      optional: Prefixes of the names of tensors that may be absent.

    Returns:
      One line for each tensor that is missing, misshapen or unknown; empty if all fit.
    """
    problems, used = [], set()
    for source, shape in candidate.sources().values():
        used.add(source.name)
        expected = source.foreign_shape(shape)
        if source.name not in shapes:
            if not source.name.startswith(optional):
                problems.append(f'{source.name}: missing (expected shape {expected})')
        elif shapes[source.name] != expected:
            problems.append(
                f'{source.name}: expected shape {expected}, found {shapes[source.name]}'
            )
    for name in shapes:
        if name not in used:
            problems.append(f'{name}: unknown variable of shape {shapes[name]}, nothing uses it')
    return problems


def _name_alike(candidate: Candidate, shapes: Mapping[str, Shape]) -> str:
    """Names a missing tensor and the most similar unknown one, as a part of an error message."""
    expected = [source.name for source, _ in candidate.sources().values()]
    absent = [name for name in expected if name not in shapes]
    unknown = sorted(set(shapes) - set(expected))
    if not absent or not unknown:
        return ''
    ours, theirs = absent[0], unknown[0]
    for length in range(6, 0, -1):  # number of equal parts at the end
        ends = {_end(name, length): name for name in reversed(unknown)}
        if alike := next((name for name in absent if _end(name, length) in ends), None):
            ours, theirs = alike, ends[_end(alike, length)]
            break
    return f'; {one_line(ours, 60)} is expected, the file has {one_line(theirs, 60)}'


def _end(name: str, length: int) -> tuple[str, ...]:
    """The last `length` parts of a name of PyTorch or TensorFlow."""
    return tuple(re.split('[./]', name)[-length:])


def assemble(
    candidates: list[Candidate],
    tensors: Mapping[str, np.ndarray],
    *,
    where: str,
    optional: tuple[str, ...] = (),
) -> tuple[ModelConfig, Variables, list[str]]:
    """Makes the variables of the first of several networks that the tensors fit exactly.

    Args:
      candidates: Networks that the file may hold, the most likely first.
      tensors: Name → every tensor in the file that was not ignored on purpose.
      where: The path of the file, for error messages.
      optional: Prefixes of the names of tensors that may be absent; their variables are
        initialised (seed 0).

    Returns:
      The network, its variables, and the names of the tensors that were absent.

    Raises:
      WeightsError: No candidate fits (the problems of the one that fits best are told), or a
        tensor has a value that is not finite.
    """
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    problems = [find_problems(candidate, shapes, optional) for candidate in candidates]
    chosen, least = min(zip(candidates, problems, strict=True), key=lambda pair: len(pair[1]))
    if least:
        count = len(least) - 1
        more = f' (and {count} more variables do not fit{_name_alike(chosen, shapes)})'
        raise WeightsError(f'{where}: {one_line(least[0], 150)}{more if count else ""}')
    sources = {path: source for path, (source, _) in chosen.sources().items()}
    present = {path: tensors[s.name] for path, s in sources.items() if s.name in tensors}
    if bad := find_bad_value(present):
        path, problem = bad
        raise WeightsError(f'{where}: {sources[path].name}: {problem}')
    variables, absent = {}, []
    for path, source in sources.items():
        if source.name in tensors:
            variables[path] = source.convert(tensors[source.name])
        else:
            absent.append(source.name)
    if absent:
        initial = init_variables(chosen.config, seed=0)
        flat = flax.traverse_util.flatten_dict(initial, sep='/')
        variables = {path: variables.get(path, flat[path]) for path in flat}
    tree = flax.traverse_util.unflatten_dict(variables, sep='/')
    return chosen.config, tree, sorted(absent)
