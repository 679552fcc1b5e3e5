"""Puts foreign tensors into a network's variables: every one used, none missing, shapes equal."""

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
_MAX_NAME = 200  # characters; MODNet's longest has 58


@dataclasses.dataclass(frozen=True)
class Source:
    """Where one variable lies in a foreign file.

    Attributes:
      name: The tensor's name there.
      axes: Its axes in our order, so that `tensor.transpose(axes)` has ours; None as it is.
      pixel: Whether ours is a 1×1 convolution kernel and theirs a matrix.
    """

    name: str
    axes: tuple[int, ...] | None = None
    pixel: bool = False

    def foreign_shape(self, shape: Shape) -> Shape:
        """The shape that the tensor must have for ours to have `shape`."""
        shape = shape[2:] if self.pixel else shape
        if self.axes is None:
            return shape
        return tuple(shape[self.axes.index(axis)] for axis in range(len(shape)))

    def convert(self, tensor: np.ndarray) -> np.ndarray:
        """The tensor as float32 in our layout."""
        tensor = tensor.transpose(self.axes) if self.axes else tensor
        return np.ascontiguousarray(tensor[None, None] if self.pixel else tensor, np.float32)


@dataclasses.dataclass(frozen=True)
class Candidate:
    """A network that a file may hold.

    Attributes:
      config: The network.
      find_source: Variable path ('params/…/kernel') → where it lies in the file.
    """

    config: ModelConfig
    find_source: Callable[[str], Source]

    def sources(self) -> dict[str, tuple[Source, Shape]]:
        """Variable path → where it lies, and the shape it must have here."""
        flat = flax.traverse_util.flatten_dict(variable_shapes(self.config), sep='/')
        return {path: (self.find_source(path), leaf.shape) for path, leaf in flat.items()}


def check_tensor_name(name: str) -> str:
    """The name of a tensor in a file; raises WeightsError if no network has names so long."""
    if len(name) > _MAX_NAME:
        found = f'{one_line(name, 60)}: a name of {len(name)} characters'
        raise WeightsError(f'{found}, expected at most {_MAX_NAME}')
    return name


def find_problems(
    candidate: Candidate, shapes: Mapping[str, Shape], optional: tuple[str, ...] = ()
) -> list[str]:
    """What stands between the tensors and the network, one line each; empty if they fit.

    Args:
      candidate: The network.
      shapes: Shape of every tensor of the file, less those that were ignored on purpose.
      optional: Prefixes of the names of tensors that may be absent.
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
    """A name that the file lacks beside the most similar one that nothing uses, for a message."""
    expected = [source.name for source, _ in candidate.sources().values()]
    absent = [name for name in expected if name not in shapes]
    unknown = sorted(set(shapes) - set(expected))
    if not absent or not unknown:
        return ''
    ours, theirs = absent[0], unknown[0]
    for length in range(6, 0, -1):  # of equal ends
        ends = {_end(name, length): name for name in reversed(unknown)}
        if alike := next((name for name in absent if _end(name, length) in ends), None):
            ours, theirs = alike, ends[_end(alike, length)]
            break
    return f'; {one_line(ours, 60)} is expected, the file has {one_line(theirs, 60)}'


def _end(name: str, length: int) -> tuple[str, ...]:
    """The last parts of a name of PyTorch or TensorFlow."""
    return tuple(re.split('[./]', name)[-length:])


def assemble(
    candidates: list[Candidate],
    tensors: Mapping[str, np.ndarray],
    *,
    where: str,
    optional: tuple[str, ...] = (),
) -> tuple[ModelConfig, Variables, list[str]]:
    """Builds the variables of the first of several networks that the tensors fit exactly.

    Args:
      candidates: Networks the file may hold, the likeliest first.
      tensors: Every tensor of the file, less those that were ignored on purpose.
      where: The file, for error messages.
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
