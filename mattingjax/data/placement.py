"""Where arrays lie: on every device of every process, whole or shared out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding


@dataclasses.dataclass(frozen=True)
class Placement:
    """The devices, along the axis 'data', in the order of their processes.

    Attributes:
      mesh: The devices.
    """

    mesh: Mesh

    @property
    def everywhere(self) -> NamedSharding:
        """The sharding of arrays of which every device holds a whole copy."""
        return NamedSharding(self.mesh, PartitionSpec())

    def along(self, axis: int) -> NamedSharding:
        """The sharding of arrays of which the devices hold equal parts of an axis."""
        return NamedSharding(self.mesh, PartitionSpec(*[None] * axis, 'data'))

    def put(self, tree: Any, sharding: Sharding) -> Any:
        """Puts arrays that every process holds, whole and the same, on the devices."""
        if jax.process_count() == 1:
            return jax.device_put(tree, sharding)

        def place(value: Any) -> jax.Array:
            array = np.asarray(value)
            return jax.make_array_from_callback(array.shape, sharding, array.__getitem__)

        return jax.tree.map(place, tree)

    def broadcast(self, tree: Any) -> Any:
        """Puts the first process's arrays on every device; the others hold those of its shapes.

        What is drawn at random or computed in floating point may differ between processors.
        """
        if jax.process_count() > 1:
            tree = multihost_utils.broadcast_one_to_all(jax.tree.map(np.asarray, tree))
        return self.put(tree, self.everywhere)

    def fetch(self, array: jax.Array) -> np.ndarray:
        """Returns the whole of an array that is shared out; all processes call it together."""
        if not array.is_fully_addressable:
            return np.asarray(multihost_utils.process_allgather(array, tiled=True))
        return np.asarray(array)

    def own_part(self, array: jax.Array, axis: int = 0) -> np.ndarray:
        """Returns this process's part of an array that is shared out along an axis."""
        parts = {shard.index[axis].start or 0: shard.data for shard in array.addressable_shards}
        return np.concatenate([np.asarray(parts[start]) for start in sorted(parts)], axis)


def create_placement(devices: Sequence[jax.Device] | None = None) -> Placement:
    """Makes the placement on some devices, those of all processes if None."""
    devices = jax.devices() if devices is None else devices
    ordered = sorted(devices, key=lambda device: (device.process_index, device.id))
    # With automatic axes XLA decides how results are sharded; newer JAX would ask each time.
    automatic = (jax.sharding.AxisType.Auto,)
    return Placement(Mesh(np.array(ordered), ('data',), axis_types=automatic))
