"""The photos on which forms in eight bits are calibrated, and what these lose on them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from mattingjax import Checkpoint
from mattingjax.data.datasets import create_manifest
from mattingjax.data.folders import FileDataset, open_images, open_pairs
from mattingjax.data.records import choose_evenly
from mattingjax.errors import MattingError
from mattingjax.images import resize
from mattingjax.images.preprocessing import resize_photo
from mattingjax.inference.signature import Signature
from mattingjax.networks import apply_compiled

MAX_PHOTOS = 300
FEW_PHOTOS = 30  # fewer hardly show all that a network will see
_MOST_CHECKED = 60
# By how much the mean absolute difference from true alphas may grow if nobody says otherwise.
MAX_MAD_DROP = 0.0005
# The largest mean difference from the JAX network's alpha where there are no true ones; what a
# network differs by is in its manifest.
MAX_DIFFERENCE = 0.005

Run = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Loss:
    """What a form in eight bits loses.

    Attributes:
      photos: On how many photos it was measured.
      difference: Mean absolute difference of its alpha from the JAX network's.
      mad: Mean absolute difference of its alpha from the true one; None without true ones.
      network_mad: That of the JAX network.
    """

    photos: int
    difference: float
    mad: float | None = None
    network_mad: float | None = None

    @property
    def excess(self) -> float:
        """The rise of the mean absolute difference; without true alphas the difference."""
        if self.mad is None or self.network_mad is None:
            return self.difference
        return self.mad - self.network_mad

    def __str__(self) -> str:
        if self.mad is None or self.network_mad is None:
            return f'{self.difference:.5f} from the network on {self.photos} photos'
        return f'MAD {self.mad:.5f}, the network {self.network_mad:.5f} on {self.photos} photos'


class Batches(Sequence[np.ndarray]):
    """Photos as inputs of a network, [N, H, W, 3], each of them N times.

    Args:
      photos: uint8 [H, W, 3] RGB, all of one size.
      batch_size: N.
      encode: Function from float32 in [0, 255] to what the network takes.
    """

    def __init__(
        self,
        photos: Sequence[np.ndarray],
        batch_size: int,
        encode: Callable[[np.ndarray], np.ndarray],
    ):
        self._photos, self._batch_size, self._encode = photos, batch_size, encode

    def __len__(self) -> int:
        return len(self._photos)

    @overload
    def __getitem__(self, index: int) -> np.ndarray: ...

    @overload
    def __getitem__(self, index: slice) -> Batches: ...

    def __getitem__(self, index: int | slice) -> np.ndarray | Batches:
        if isinstance(index, slice):
            return Batches(self._photos[index], self._batch_size, self._encode)
        photo = self._photos[index].astype(np.float32)
        return self._encode(np.repeat(photo[None], self._batch_size, axis=0))


class Calibration:
    """Photos as a network sees them, and how to tell what it loses on them.

    Args:
      checkpoint: The network and its variables.
      records: The photos, with or without true alphas; of more than `MAX_PHOTOS` some.
      signature: How the export is fed.
      max_mad_drop: By how much the mean absolute difference may grow, where there are true alphas;
        None for `MAX_MAD_DROP`.

    Raises:
      RecordError: A photo or an alpha cannot be read.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        records: FileDataset,
        signature: Signature,
        max_mad_drop: float | None = None,
    ):
        batch_size, height, width, _ = signature.shape
        self._checkpoint = checkpoint
        photos: list[np.ndarray] = []
        self._alphas: list[np.ndarray] = []
        self._records = records.select(choose_evenly(len(records), MAX_PHOTOS))
        for i in range(len(self._records)):
            record = self._records[i]
            pixels = resize_photo(record['image'], height, width)
            photos.append(np.clip(np.round(pixels), 0, 255).astype(np.uint8))
            if 'alpha' in record:
                self._alphas.append(np.clip(resize(record['alpha'], height, width), 0, 1))
        self.batches = Batches(photos, batch_size, signature.encoding().encode)
        self._pixels = Batches(photos, batch_size, lambda images: images)
        self.has_alphas = bool(self._alphas)
        if not self.has_alphas:
            self.limit = MAX_DIFFERENCE
        else:
            self.limit = MAX_MAD_DROP if max_mad_drop is None else max_mad_drop
        self._checked = choose_evenly(len(photos), _MOST_CHECKED)

    def describe(self) -> dict[str, Any]:
        """What the manifest says of it, JSON types.

        Returns:
          The number of `photos`; the `digest` of their files and of the alphas' (as
          `mattingjax.data.datasets.create_manifest` has it); whether there are `alphas`; and the
          bound, `max_mad_drop` or `max_difference`.
        """
        return {
            'photos': len(self._records),
            'digest': create_manifest(self._records)['digest'],
            'alphas': self.has_alphas,
            'max_mad_drop' if self.has_alphas else 'max_difference': self.limit,
        }

    def errors(self, run: Run, indices: Sequence[int]) -> list[float]:
        """The mean absolute differences from the true alphas.

        Args:
          run: Function from an input of `batches` to alphas [N, H, W, 1].
          indices: Of which photos.
        """
        return [_distance(self._run(run, i), self._alphas[i]) for i in indices]

    def measure(self, run: Run) -> Loss:
        """Measures what a form loses; `run` as for `errors`."""
        alphas = [self._run(run, i) for i in self._checked]
        difference = _mean_distance(alphas, self._network_alphas)
        if not self.has_alphas:
            return Loss(len(alphas), difference)
        true = [self._alphas[i] for i in self._checked]
        of_form, of_network = (
            _mean_distance(values, true) for values in (alphas, self._network_alphas)
        )
        return Loss(len(alphas), difference, of_form, of_network)

    def excess(self, run: Run) -> float:
        """What of a form's loss `limit` bounds; `run` as for `errors`."""
        return self.measure(run).excess

    def _run(self, run: Run, index: int) -> np.ndarray:
        return _first(run(self.batches[index]))

    @functools.cached_property
    def _network_alphas(self) -> list[np.ndarray]:
        config, variables = self._checkpoint.config, self._checkpoint.variables
        return [
            _first(apply_compiled(config, variables, self._pixels[i])['alpha'])
            for i in self._checked
        ]


def _first(alphas: Any) -> np.ndarray:
    return np.asarray(alphas)[0, :, :, 0]


def _distance(alpha: np.ndarray, other: np.ndarray) -> float:
    return float(np.abs(alpha - other).mean())


def _mean_distance(alphas: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> float:
    return float(np.mean([_distance(a, b) for a, b in zip(alphas, others, strict=True)]))


def check_count(photos: Sequence[np.ndarray]) -> None:
    """Raises MattingError unless there are photos, and no more than `MAX_PHOTOS`."""
    if not 0 < len(photos) <= MAX_PHOTOS:
        raise MattingError(f'calibration: expected 1 to {MAX_PHOTOS} photos, found {len(photos)}')


def open_calibration(images: Path, alphas: Path | None) -> FileDataset:
    """Opens the photos of a folder, and the alphas of their names in another if it is given.

    Raises:
      MattingError: A folder is missing or holds no picture, or the two do not match.
    """
    return open_images(images) if alphas is None else open_pairs(images, alphas)
