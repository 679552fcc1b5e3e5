"""Saving and resuming: what Orbax keeps of a training beside the networks that come of it."""

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
    """What a training is at, but for its arrays.

    Attributes:
      network: The network, which pruning may have changed.
      data: State of the data pipeline: JSON types.
      best: Validation figures of the best network so far; empty before the first.
    """

    network: ModelConfig
    data: dict[str, Any] = dataclasses.field(hash=False)
    best: dict[str, float] = dataclasses.field(hash=False)

    def to_dict(self) -> dict[str, Any]:
        """As JSON types."""
        return {'network': self.network.to_dict(), 'data': self.data, 'best': self.best}

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> Self:
        """From what `to_dict` gave."""
        network = ModelConfig.from_dict(content['network'])
        return cls(network, content['data'], content['best'])


class Saver:
    """The latest states of a training, in a folder; a context that ends when all are written.

    Args:
      folder: Made if it is not there.
      keep: How many are kept.
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
        """The step of the latest state; None if there is none."""
        return self._manager.latest_step()

    def settled_step(self) -> int | None:
        """`latest_step`, once what is being saved is on the disk."""
        self._manager.wait_until_finished()
        return self.latest_step

    def save(self, step: int, state: TrainState, progress: Progress) -> None:
        """Saves in the background; the arrays are copied before this returns."""
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
        """The progress at the latest step."""
        restored = self._restore(progress=ocp.args.JsonRestore())
        return Progress.from_dict(restored['progress'])

    def restore_state(self, like: TrainState) -> TrainState:
        """The state at the latest step.

        Args:
          like: A state of the same structure and shapes, whose placement on devices it gets.

        Raises:
          CheckpointError: It cannot be read, or has another structure.
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
