"""Evaluates a network or a folder of mattes on folders of pictures, for mattingjax evaluate."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mattingjax.data.folders import FileDataset, match_pairs, open_entries
from mattingjax.errors import MattingError
from mattingjax.evaluation.comparison import EvaluationReport, NetworkSize, Predict, evaluate
from mattingjax.evaluation.datasets import (
    add_pictures,
    list_alphas,
    list_composites,
)
from mattingjax.evaluation.options import EvaluationOptions
from mattingjax.evaluation.report import check_report, format_protocol, format_table, write_report
from mattingjax.images import find_images
from mattingjax.inference import create_predictor
from mattingjax.process.files import check_outside

_COMPOSITION = (
    'backgrounds, sorted by path and shuffled by numpy.random.default_rng(seed).permutation, dealt '
    "out in turn to cut-outs sorted by name; cropped about the centre to the cut-out's proportions "
    'and resized to its size; alpha · foreground + (1 − alpha) · background, rounded to 8 bits'
)


@dataclasses.dataclass(frozen=True)
class Folders:
    """The folders of an evaluation: photos and alphas, or cut-outs and backgrounds.

    Attributes:
      images: Folder of photos.
      alphas: Folder of their alphas, of the same names. With predictions it is enough alone.
      foregrounds: Folder of cut-outs, each of which `list_composites` puts on a background.
      backgrounds: Folder of the backgrounds.
      seed: Random seed that decides which cut-out gets which background, at least 0.
      predictions: Folder of mattes of the same names, which are compared instead of a network's.
      trimaps: Folder of trimaps of the same names; None to make them of the alphas.
      alpha_values: What the numbers in true alphas mean, as
        `mattingjax.data.alpha_values.parse_alpha_values` reads it.
      prediction_values: What the numbers in predictions mean; with 'auto' they are greys.
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
        """Counts photos, cut-outs or else alphas, including those without a counterpart."""
        folder = self.images or self.foregrounds or self.alphas
        return len(find_images(folder)) if folder else 0

    def open(self, *, allow_unmatched: bool = False) -> FileDataset:
        """Opens the pictures as a dataset.

        Args:
          allow_unmatched: Whether pictures without a counterpart are left out with a warning
            instead of being an error.

        Raises:
          MattingError: A folder is missing or holds no picture, the names do not match, or the
            alphas' numbers do not tell what they mean.
        """
        if self.foregrounds and self.backgrounds:
            entries = list_composites(self.foregrounds, self.backgrounds, self.seed)
        elif self.images and self.alphas:
            entries = match_pairs(self.images, self.alphas, allow_unmatched)
        elif self.alphas:
            entries = list_alphas(self.alphas)
        for what, folder in (('pred_alpha', self.predictions), ('trimap', self.trimaps)):
            if folder:
                entries = add_pictures(entries, what, folder, allow_unmatched=allow_unmatched)
        return open_entries(entries, self.alpha_values, self.prediction_values)

    def check_outside(self, output: Path) -> None:
        """Raises MattingError if files written to or beside `output` would lie in these folders."""
        check_outside(output, [value for value in vars(self).values() if isinstance(value, Path)])

    def to_dict(self) -> dict[str, Any]:
        """The given folders and how photos are composed of their pictures, as JSON types."""
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
    precision: str = 'f32',
    input_size: int | None = None,
    allow_unmatched: bool = False,
    skip_damaged: bool = False,
    worst: int = 8,
) -> tuple[EvaluationReport, dict[str, Any]]:
    """Evaluates a network, or a folder of mattes.

    Args:
      folders: The folders of the pictures.
      options: How predicted alphas are compared with true ones.
      network: A checkpoint, the name of weights that ship, or an artefact; None if
        `folders.predictions` holds the mattes.
      runtime: The name of the runtime of `mattingjax.create_predictor`; None for its default.
      precision: What OpenVINO computes in, that of `mattingjax.create_predictor`.
      input_size: The input size of `mattingjax.create_predictor`; None for the network's own.
      allow_unmatched: Whether pictures without a counterpart are left out with a warning instead
        of being an error.
      skip_damaged: Whether damaged pictures are listed as skipped instead of being an error.
      worst: Number of photos, the worst by the first figure, whose pictures are kept.

    Returns:
      The report, and as JSON types what was evaluated, for `write_report`.

    Raises:
      MattingError: The network or a picture is missing, damaged or does not fit.
    """
    if (network is None) == (folders.predictions is None):
        raise MattingError(
            'predictions: expected a network (checkpoint) or a folder of mattes, one of the two'
        )
    if options.size == 'network' and network is None:
        raise MattingError('size=network: needs a network')
    if input_size is not None and network is None:
        raise MattingError('input_size: needs a network')
    if precision != 'f32' and network is None:
        raise MattingError('precision: needs a network')
    dataset = folders.open(allow_unmatched=allow_unmatched)
    predict: Predict | None = None
    network_size: NetworkSize | None = None
    about: dict[str, Any] = {'data': folders.to_dict()}
    if allow_unmatched:
        about['data'] |= {'allow_unmatched': True, 'unmatched': folders.count() - len(dataset)}
    preparing: contextlib.AbstractContextManager = contextlib.nullcontext()
    if network is not None:
        predictor = create_predictor(network, runtime, input_size=input_size, precision=precision)
        about = {'network': predictor.describe(), **about}
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


def report_folders(
    folders: Folders,
    options: EvaluationOptions,
    *,
    output: Path | None,
    overwrite: bool,
    worst: int,
    tell: Callable[[str], None] = print,
    **arguments: Any,
) -> None:
    """Evaluates as `evaluate_folders` does, and writes the report.

    Args:
      folders: The folders of the pictures.
      options: How predicted alphas are compared with true ones.
      output: The report to write, NAME.json; None writes nothing.
      overwrite: Whether a report that lies there is replaced.
      worst: Number of photos, the worst by the first figure, whose pictures are written.
      tell: Gets the texts for the user: protocol and table before the report is written, its files
        afterwards.
      **arguments: Further arguments of `evaluate_folders`.

    Raises:
      MattingError: The report cannot be written there, or the network or a picture is missing,
        damaged or does not fit.
    """
    if output:
        check_report(output, 'output', overwrite=overwrite)
        folders.check_outside(output)
    worst = worst if output else 0
    report, about = evaluate_folders(folders, options, worst=worst, **arguments)
    tell(f'{format_protocol(report, about)}\n\n{format_table(report)}')
    if output:
        tell('\n'.join(map(str, write_report(output, report, about))))
