"""Evaluation of a network or a folder of mattes, as scripts/evaluate.py does it."""

from __future__ import annotations

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

from mattingjax.checkpoints import hash_checkpoint, load_checkpoint
from mattingjax.data.folders import FileDataset, match_pairs, open_entries
from mattingjax.errors import MattingError
from mattingjax.evaluation.comparison import EvaluationReport, NetworkSize, Predict, evaluate
from mattingjax.evaluation.datasets import (
    add_pictures,
    list_alphas,
    list_composites,
)
from mattingjax.evaluation.options import EvaluationOptions
from mattingjax.files import check_outside, hash_file
from mattingjax.images import find_images
from mattingjax.inference import create_predictor
from mattingjax.inference.sessions import READERS

_COMPOSITION = (
    'backgrounds, sorted by path and shuffled by numpy.random.default_rng(seed).permutation, dealt '
    "out in turn to cut-outs sorted by name; cropped about the centre to the cut-out's proportions "
    'and resized to its size; alpha · foreground + (1 − alpha) · background, rounded to 8 bits'
)


@dataclasses.dataclass(frozen=True)
class Folders:
    """Where the pictures are: photos and alphas, or cut-outs and backgrounds.

    Attributes:
      images: Photos.
      alphas: Their alphas, of the same names; with predictions enough alone.
      foregrounds: Cut-outs, each to be put on one of `backgrounds`; see `list_composites`.
      backgrounds: What they are put on.
      seed: Which cut-out gets which background.
      predictions: Mattes to compare instead of a network's, of the same names.
      trimaps: Trimaps of the same names; None if they are to be made of the alphas.
      alpha_values: What the numbers in true alphas mean; see
        `mattingjax.data.alpha_values.parse_alpha_values`.
      prediction_values: Likewise in predictions; with 'auto' they are greys.
    """

    images: Path | None = None
    alphas: Path | None = None
    foregrounds: Path | None = None
    backgrounds: Path | None = None
    seed: int = 0
    predictions: Path | None = None
    trimaps: Path | None = None
    alpha_values: str = 'auto'
    prediction_values: str = 'auto'

    def __post_init__(self) -> None:
        given = bool(self.images), bool(self.alphas), bool(self.foregrounds), bool(self.backgrounds)
        allowed = [(True, True, False, False), (False, False, True, True)]
        enough = ''
        if self.predictions:
            allowed.append((False, True, False, False))
            enough = '; with predictions, alphas alone will do'
        if given not in allowed:
            raise MattingError(
                'images, foregrounds: expected images and alphas, or foregrounds and '
                f'backgrounds{enough}; got {", ".join(self._given) or "none"}'
            )

    @property
    def _given(self) -> list[str]:
        return [name for name, value in vars(self).items() if isinstance(value, Path)]

    def count(self) -> int:
        """How many photos there are, or cut-outs, or else alphas: with a counterpart or without."""
        folder = self.images or self.foregrounds or self.alphas
        return len(find_images(folder)) if folder else 0

    def open(self, *, allow_unmatched: bool = False) -> FileDataset:
        """The records.

        Args:
          allow_unmatched: Whether what has no counterpart is left out, with a warning, instead of
            being an error.

        Raises:
          MattingError: A folder is missing or holds no picture, the names do not match, or the
            alphas' numbers do not tell what they mean.
        """
        if self.foregrounds and self.backgrounds:
            items = list_composites(self.foregrounds, self.backgrounds, self.seed)
        elif self.images and self.alphas:
            items = match_pairs(self.images, self.alphas, allow_unmatched)
        elif self.alphas:
            items = list_alphas(self.alphas)
        for what, folder in (('pred_alpha', self.predictions), ('trimap', self.trimaps)):
            if folder:
                items = add_pictures(items, what, folder, allow_unmatched=allow_unmatched)
        return open_entries(items, self.alpha_values, self.prediction_values)

    def check_outside(self, output: Path) -> None:
        """Raises MattingError if pictures written to or beside `output` would lie among these."""
        check_outside(output, [value for value in vars(self).values() if isinstance(value, Path)])

    def to_dict(self) -> dict[str, Any]:
        """The folders given, and how photos are composed of them: JSON types."""
        content: dict[str, Any] = {name: str(getattr(self, name)) for name in self._given}
        for name in ('alpha_values', 'prediction_values'):
            if (value := getattr(self, name)) != 'auto':
                content[name] = value
        if self.foregrounds:
            content |= {'seed': self.seed, 'composition': _COMPOSITION}
        return content


def evaluate_folders(
    folders: Folders,
    options: EvaluationOptions,
    *,
    network: str | None = None,
    runtime: str | None = None,
    allow_unmatched: bool = False,
    skip_damaged: bool = False,
    worst: int = 8,
) -> tuple[EvaluationReport, dict[str, Any]]:
    """Evaluates a network, or a folder of mattes.

    Args:
      folders: Where the pictures are.
      options: How mattes are compared.
      network: A checkpoint, the name of weights that ship, or an artefact; None if
        `folders.predictions` holds the mattes.
      runtime: See `mattingjax.create_predictor`.
      allow_unmatched: See `Folders.open`.
      skip_damaged: See `evaluate`.
      worst: See `evaluate`.

    Returns:
      The report, and what it is about: JSON types, for `write_report`.

    Raises:
      MattingError: The network or a picture is missing, damaged or does not fit.
    """
    if (network is None) == (folders.predictions is None):
        raise MattingError(
            'expected a network (checkpoint) or a folder of predictions, one of the two'
        )
    if options.size == 'network' and network is None:
        raise MattingError('size=network: needs a network')
    dataset = folders.open(allow_unmatched=allow_unmatched)
    predict: Predict | None = None
    network_size: NetworkSize | None = None
    about: dict[str, Any] = {'data': folders.to_dict()}
    if allow_unmatched:
        about['data'] |= {'allow_unmatched': True, 'unmatched': folders.count() - len(dataset)}
    preparing: contextlib.AbstractContextManager = contextlib.nullcontext()
    if network is not None:
        predictor = create_predictor(network, runtime)
        about = {'network': describe_network(network, runtime), **about}
        predict, network_size = predictor, predictor.network_size
        preparing = predictor.preparing(entry.photo for entry in dataset.entries)
    with preparing:
        report = evaluate(
            predict,
            dataset,
            options,
            network_size=network_size,
            worst=worst,
            skip_damaged=skip_damaged,
        )
    return report, about


def describe_network(path_or_name: str, runtime: str | None = None) -> dict[str, Any]:
    """A checkpoint or artefact, the SHA-256 of what is in it, and what runs it: JSON types."""
    path = Path(path_or_name)
    if path.suffix in READERS and path.is_file():
        weights = path.with_suffix('.bin')
        files = [path, *([weights] if path.suffix == '.xml' and weights.is_file() else [])]
        hashes = {file.name: hash_file(file) for file in files}
        runtime = runtime or READERS[path.suffix][0]
        return {'artefact': path_or_name, 'sha256': hashes, 'runtime': runtime}
    checkpoint = load_checkpoint(path_or_name)
    return {
        'checkpoint': path_or_name,
        'name': checkpoint.config.network,
        'sha256': hash_checkpoint(checkpoint),
        'runtime': 'jax',
    }
