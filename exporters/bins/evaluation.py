"""Measures how far a run's outputs are from the masks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from exporters.bins.files import input_as_photo, load_input, load_mask
from exporters.bins.index import Index
from exporters.bins.outputs import Encoding, load_output, match_outputs
from mattingjax.errors import MattingError
from mattingjax.evaluation import EvaluationOptions, EvaluationReport, evaluate

_WORST = 5


class BinEvaluation(NamedTuple):
    """The result of an evaluation.

    Attributes:
      report: The errors of every photo.
      encoding: How the outputs are stored.
    """

    report: EvaluationReport
    encoding: Encoding


class _BinRecords:
    """Inputs, masks and outputs as records for `mattingjax.evaluation`."""

    def __init__(
        self, outputs: Sequence[Path], prepared: Path, index: Index, channels: int | None,
        dtype: str | None,
    ):  # fmt: skip
        self._outputs, self._prepared, self._index = outputs, prepared, index
        self._given = channels or index.layout.output_channels, dtype
        self.encoding = self._load(0)[1]

    def __len__(self) -> int:
        return len(self._outputs)

    def __getitem__(self, i: int) -> dict[str, Any]:
        item, layout = self._index.items[i], self._index.layout
        alpha = load_mask(self._prepared, item, layout)[0, ..., 0]
        pred_alpha, encoding = self._load(i)
        if encoding != self.encoding:
            raise MattingError(
                f'{self._outputs[i]}: {encoding} by its size, but {self._outputs[0].name} is '
                f'{self.encoding}; expected all alike'
            )
        image = input_as_photo(load_input(self._prepared, item, layout), layout)
        return {'name': item.name, 'image': image, 'alpha': alpha, 'pred_alpha': pred_alpha}

    def _load(self, i: int) -> tuple[np.ndarray, Encoding]:
        size = self._index.layout.input_shape[1:3]
        return load_output(self._outputs[i], size, *self._given)


def evaluate_bins(
    folder: Path,
    prepared: Path,
    index: Index,
    *,
    channels: int | None = None,
    dtype: str | None = None,
) -> BinEvaluation:
    """Compares outputs with masks, at the masks' size.

    Progress goes to standard error.

    Args:
      folder: The folder of the outputs: NAME_output_0.bin or .txt, one for each photo.
      prepared: The folder that `prepare_bins` wrote.
      index: The index of that folder.
      channels: Channels of the outputs, 1 or 2; if None, those of the artefact in the index, or
        what the size of the outputs tells.
      dtype: Type of .bin files, 'float16' or 'float32'; if None, what their size tells.

    Raises:
      MattingError: Names, counts or sizes do not match, a file is damaged, or its size does not
        tell how to read it.
    """
    outputs = list(match_outputs(folder, index).values())
    records = _BinRecords(outputs, prepared, index, channels, dtype)
    options = EvaluationOptions(regions=('whole',))
    return BinEvaluation(evaluate(None, records, options, worst=_WORST), records.encoding)


def describe_bins(folder: Path, index: Index, encoding: Encoding) -> dict[str, Any]:
    """Describes what was evaluated, for the report, as JSON types.

    Args:
      folder: The folder of the outputs.
      index: The index of the inputs and masks.
      encoding: How the outputs are stored.
    """
    return {
        'artefact': index.layout.artefact,
        'artefact_sha256': index.layout.artefact_sha256,
        'outputs': str(folder),
        'encoding': encoding._asdict(),
        'mask_size': index.layout.mask_shape[1:3],
    }
