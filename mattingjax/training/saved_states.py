"""Saved states: what Orbax stores so that a training can be resumed."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import jax
import orbax.checkpoint as ocp

from mattingjax.checkpoints.orbax_errors import explain_failure, quiet_failures
from mattingjax.errors import CheckpointError, OutputError
from mattingjax.networks import ModelConfig
from mattingjax.process.checksums import find_damage, write_checksums
from mattingjax.process.files import plainly_named
from mattingjax.training.state import TrainState

_TIMES = ('_CHECKPOINT_METADATA',)  # Orbax still adds to it when the hashes are there


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

    Each state gets the hashes of its files before it gets its name, and is compared with them
    before anything of it is restored. States of earlier versions, without hashes, are taken as they
    are.

    Args:
      folder: The folder of the states; it is made if it does not exist.
      keep: The number of states that are kept.

    Raises:
      OutputError: The folder cannot be written to.
    """

    def __init__(self, folder: Path, keep: int):
        options = ocp.CheckpointManagerOptions(
            max_to_keep=keep,
            create=True,
            async_options=ocp.AsyncOptions(
                post_finalization_callback=self._write_checksums,
                # Of a folder that its thread cannot make, Orbax would speak after five minutes.
                create_directories_asynchronously=False,
            ),
        )
        self._folder = folder
        self._written: int | None = None  # the step whose state is being written, or was last
        with contextlib.ExitStack() as stack:
            stack.enter_context(quiet_failures())
            with self._writing_errors():
                folder.mkdir(parents=True, exist_ok=True)
                plain = stack.enter_context(plainly_named(folder))
                self._manager = ocp.CheckpointManager(plain, options=options)
            self._open = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._open:
            try:
                self.wait()
            except OutputError:
                if kind is None:  # or the error under way says it already
                    raise
            finally:
                with contextlib.suppress(Exception):  # what failed to be written fails again
                    self._manager.close()

    @contextlib.contextmanager
    def _writing_errors(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Orbax and TensorStore raise their own types
            reason = explain_failure(error)
            raise OutputError(f'{self._folder}: cannot be written ({reason})') from error

    def _write_checksums(self) -> None:
        """Called by Orbax's thread, once all files of a state are there and none has its name."""
        if jax.process_index() == 0:
            for path in self._folder.iterdir():
                if path.name.split('.')[0] == str(self._written):
                    write_checksums(path, leave_out=_TIMES)

    def check(self) -> None:
        """Raises OutputError if a state that was being written could not be; waits for none."""
        if not self._manager.is_saving_in_progress():
            self.wait()

    def wait(self) -> None:
        """Waits until every state is on the disk; raises OutputError if one cannot be written."""
        with self._writing_errors():
            self._manager.wait_until_finished()

    @property
    def latest_step(self) -> int | None:
        """The step of the latest state, written or being written; None if there is none."""
        return self._manager.latest_step()

    def settled_step(self) -> int | None:
        """Waits until every state is on the disk or has failed to be; returns `latest_step`."""
        with contextlib.suppress(OutputError):
            self.wait()
        return self.latest_step

    def save(self, step: int, state: TrainState, progress: Progress) -> None:
        """Saves a state in the background; the arrays are copied before this returns.

        Raises:
          OutputError: It cannot be written, or the one before could not be.
        """
        self.wait()
        if step == self.latest_step:
            return
        self._written = step
        arrays = {name: value for name, value in vars(state).items() if jax.tree.leaves(value)}
        progress_json = ocp.args.JsonSave(progress.to_dict())
        items = ocp.args.Composite(state=ocp.args.StandardSave(arrays), progress=progress_json)
        with self._writing_errors():
            self._manager.save(step, args=items)

    def restore_progress(self) -> Progress:
        """Reads the progress at the latest step, once the whole state is known to be undamaged.

        Raises:
          CheckpointError: It cannot be read, or a file of the state is damaged.
        """
        self._check_damage()
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

    def _check_damage(self) -> None:
        step, steps = self.latest_step, sorted(self._manager.all_steps())
        if damage := find_damage(self._folder / str(step)):
            earlier = f'go on from step {steps[-2]}' if len(steps) > 1 else 'begin anew'
            raise CheckpointError(
                f'{self._folder / str(step)}: damaged: {damage}; remove this folder to {earlier}'
            )

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
