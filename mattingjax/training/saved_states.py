"""Saved states: what Orbax stores so that a training can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any, Self

import jax
import orbax.checkpoint as ocp

from mattingjax.errors import CheckpointError
from mattingjax.networks import ModelConfig
from mattingjax.process.files import plainly_named
from mattingjax.training.state import TrainState


@dataclasses.dataclass(frozen=True)
class Progress:
    """The part of a saved state that is not arrays.

    Attributes:
      network: The network as it is now; pruning may have made it narrower.
      data: The state of the data pipeline as JSON types.
      best: The validation figures of the best network so far; empty before the first validation.
    """

    network: ModelConfig
    data: dict[str, Any] = dataclasses.field(hash=False)
    best: dict[str, float] = dataclasses.field(hash=False)

    def to_dict(self) -> dict[str, Any]:
        """Returns the progress as JSON types."""
        return {'network': self.network.to_dict(), 'data': self.data, 'best': self.best}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """Makes the progress from what `to_dict` returned."""
        network = ModelConfig.from_dict(content['network'])
        return cls(network, content['data'], content['best'])


class Saver:
    """Saves and restores the latest states of a training; a context that waits for the last write.

    Args:
      folder: The folder of the states; it is made if it does not exist.
      keep: The number of states that are kept.
    """

    def __init__(self, folder: Path, keep: int):
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        with contextlib.ExitStack() as stack:
            plain = stack.enter_context(plainly_named(folder))
            self._manager = ocp.CheckpointManager(plain, options=options)
            self._link = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._link:
            self._manager.wait_until_finished()
            self._manager.close()

    @property
    def latest_step(self) -> int | None:
        """The step of the latest state, written or being written; None if there is none."""
        return self._manager.latest_step()

    def settled_step(self) -> int | None:
        """Waits until every state is on the disk; returns `latest_step`."""
        self._manager.wait_until_finished()
        return self.latest_step

    def save(self, step: int, state: TrainState, progress: Progress) -> None:
        """Saves a state in the background; the arrays are copied before this returns."""
        if step == self.latest_step:
            return
        arrays = {name: value for name, value in vars(state).items() if jax.tree.leaves(value)}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(arrays), progress=ocp.args.JsonSave(progress.to_dict())
            ),
        )

    def restore_progress(self) -> Progress:
        """Reads the progress at the latest step.

        Raises:
          CheckpointError: It cannot be read.
        """
        restored = self._restore(progress=ocp.args.JsonRestore())
        return Progress.from_dict(restored['progress'])

    def restore_state(self, like: TrainState) -> TrainState:
        """Reads the state at the latest step.

        Args:
          like: A state of the same structure and shapes. The state is placed on the same devices.

        Raises:
          CheckpointError: The state cannot be read, or has another structure.
        """
        arrays = {name: value for name, value in vars(like).items() if jax.tree.leaves(value)}
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, arrays)
        restored = self._restore(state=ocp.args.StandardRestore(abstract))['state']
        return like.replace(**restored)

    def _restore(self, **items: Any) -> Any:
        step = self.latest_step
        try:
            return self._manager.restore(step, args=ocp.args.Composite(**items))
        except Exception as error:  # Orbax and TensorStore raise their own types
            message = ' '.join(str(error).split())
            raise CheckpointError(
                f'{self._folder / str(step)}: cannot be resumed from '
                f'({type(error).__name__}: {message:.200})'
            ) from error
