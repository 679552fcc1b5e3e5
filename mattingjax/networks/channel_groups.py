"""Channel groups: the channels of variables that can only be removed together.

A channel that a convolution computes lies in many places: in its kernel's last axis, in the
normalisation behind it, in the depthwise convolution after that, and in the input axis of every
kernel that reads it, at an offset where it is concatenated with others. Where feature maps are
added, channel i of all of them is one channel. A `ChannelGroup` lists these places as plain data:
removing channel i from every `TensorSlice` of a group leaves a network whose layers still fit.

The groups of a network are found by walking through it as its module does: `Network.walk`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from mattingjax.config.schema import Schema

# A feature map as names of groups whose channels are concatenated; an integer stands for that many
# channels of the photo.
Features = tuple[str | int, ...]
RGB: Features = (3,)


def get_width(architecture: dict[str, Any], field: str) -> int:
    """Returns the width at a dotted path, such as 'backbone.blocks.1.hidden', of `to_dict()`."""
    value: Any = architecture
    for part in field.split('.'):
        value = value[int(part)] if part.isdigit() else value[part]
    return value


@dataclasses.dataclass(frozen=True)
class TensorSlice:
    """Where a group's channels lie in one variable.

    Attributes:
      path: The path of the variable, such as 'params/backbone/features_0/conv/kernel'.
      axis: The axis of the variable along which the channels lie.
      role: 'output' for a kernel that computes the channels, 'input' for a kernel that reads them,
        'companion' for any other variable with values per channel: normalisation, bias or gate.
      count: The number of the group's channels that lie here, from its first one on: all, or in
        IBNorm's batch normalisation the first half.
      offset: The index along the axis of the first of them.
    """

    path: str
    axis: int
    role: str
    count: int
    offset: int = 0


@dataclasses.dataclass(frozen=True)
class ChannelGroup:
    """Channels that can only be removed together.

    Attributes:
      name: The first of `fields`.
      width: The number of channels.
      fields: The fields of the architecture that hold this width, as dotted paths such as
        'backbone.blocks.1.features'.
      slices: Every place where the channels lie.
      is_halved: Whether IBNorm batch-normalises the first `width // 2` channels and
        instance-normalises the others; pruning keeps that true.
    """

    name: str
    width: int
    fields: tuple[str, ...]
    slices: tuple[TensorSlice, ...]
    is_halved: bool

    @property
    def minimum(self) -> int:
        """The fewest channels that may stay: one, or one for each half of IBNorm."""
        return 2 if self.is_halved else 1

    def having(self, role: str) -> list[TensorSlice]:
        """Returns the slices of one role."""
        return [part for part in self.slices if part.role == role]

    def __str__(self) -> str:
        lines = [f'{", ".join(self.fields)}: {self.width} channels']
        for part in self.slices:
            last = part.offset + part.count - 1
            lines.append(f'  {part.role:9}  {part.path}, axis {part.axis}, {part.offset} to {last}')
        return '\n'.join(lines)


class GroupBuilder:
    """Collects the groups while a network is walked through, layer by layer.

    Args:
      architecture: The network's widths.

    Attributes:
      fixed: Paths of the convolutions whose outputs the network returns; they are never pruned.
    """

    def __init__(self, architecture: Schema):
        self._widths = architecture.to_dict()
        self._group_of: dict[str, str] = {}  # the name of the group by field
        self._slices: dict[str, list[TensorSlice]] = {}
        self._halved: set[str] = set()
        self.fixed: list[str] = []

    def groups(self) -> tuple[ChannelGroup, ...]:
        """Returns the groups of the layers so far, in the order in which they are computed."""
        return tuple(
            ChannelGroup(
                name,
                self._width(name),
                tuple(field for field, group in self._group_of.items() if group == name),
                tuple(slices),
                name in self._halved,
            )
            for name, slices in self._slices.items()
        )

    def join(self, field: str, features: Features) -> None:
        """Declares that `field` holds the width of `features`, so that both are one group."""
        (name,) = features
        self._group_of[field] = str(name)

    def conv(self, path: str, inputs: Features, field: str) -> Features:
        """Adds a convolution without bias or normalisation; returns its output.

        Args:
          path: The path of the layer.
          inputs: The features that it reads.
          field: The field of the architecture that holds its number of output channels.
        """
        self._read(path, inputs)
        return self._add('output', field, f'params/{path}/kernel', 3)

    def conv_bn(self, path: str, inputs: Features, field: str) -> Features:
        """Adds a `layers.ConvBN`, with the arguments of `conv`; returns its output."""
        features = self.conv(f'{path}/conv', inputs, field)
        self._add_batch_norm(path, field)
        return features

    def depthwise_bn(self, path: str, features: Features) -> Features:
        """Adds a depthwise `layers.ConvBN`, whose output has the channels of its input."""
        (name,) = features
        self._add('output', str(name), f'params/{path}/conv/kernel', 3)
        self._add_batch_norm(path, str(name))
        return features

    def conv_ib_norm(self, path: str, inputs: Features, field: str) -> Features:
        """Adds a `layers.ConvIBNormReLU`, with the arguments of `conv`; returns its output."""
        features = self.conv(f'{path}/conv', inputs, field)
        self._add('companion', field, f'params/{path}/conv/bias', 0)
        self._halved.add(self._group_of[field])
        self._add_batch_norm(path, field, self._width(field) // 2)
        return features

    def gate(self, path: str, inputs: Features, features: Features) -> None:
        """Adds a convolution whose outputs multiply `features`, channel by channel."""
        self._read(path, inputs)
        (name,) = features
        self._add('companion', str(name), f'params/{path}/kernel', 3)

    def head(self, path: str, inputs: Features) -> None:
        """Adds a convolution whose outputs the network returns."""
        self._read(path, inputs)
        self.fixed.append(path)

    def _width(self, field: str) -> int:
        return get_width(self._widths, field)

    def _add(
        self, role: str, field: str, path: str, axis: int, count: int | None = None
    ) -> Features:
        name = self._group_of.setdefault(field, field)
        count = self._width(name) if count is None else count
        self._slices.setdefault(name, []).append(TensorSlice(path, axis, role, count))
        return (name,)

    def _add_batch_norm(self, path: str, field: str, count: int | None = None) -> None:
        for leaf in ('params/{}/bn/scale', 'params/{}/bn/bias'):
            self._add('companion', field, leaf.format(path), 0, count)
        for leaf in ('batch_stats/{}/bn/mean', 'batch_stats/{}/bn/var'):
            self._add('companion', field, leaf.format(path), 0, count)

    def _read(self, path: str, inputs: Features) -> None:
        offset = 0
        for part in inputs:
            if isinstance(part, int):
                offset += part
                continue
            width = self._width(part)
            self._slices[part].append(
                TensorSlice(f'params/{path}/kernel', 2, 'input', width, offset)
            )
            offset += width
