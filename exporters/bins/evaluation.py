"""How far a run's outputs are from the masks."""

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
    """What came of an evaluation.

    Attributes:
      report: The errors.
      encoding: How outputs are stored.
    """

    report: EvaluationReport
    encoding: Encoding


class _BinRecords:
    """Inputs, masks and outputs as the records that `mattingjax.evaluation` takes."""

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
      folder: The outputs: NAME_output_0.bin or .txt, one for each photo.
      prepared: The folder that `prepare` wrote.
      index: Its index.
      channels: Of the outputs; if None, what the index says of the artefact, or what their size
        tells.
      dtype: 'float16' or 'float32', of .bin files; what their size tells if None.

    Raises:
      MattingError: Names, counts or sizes do not match, a file is damaged, or the size does not
        tell how it is to be read.
    """
    outputs = list(match_outputs(folder, index).values())
    records = _BinRecords(outputs, prepared, index, channels, dtype)
    options = EvaluationOptions(regions=('whole',))
    return BinEvaluation(evaluate(None, records, options, worst=_WORST), records.encoding)


def describe_bins(folder: Path, index: Index, encoding: Encoding) -> dict[str, Any]:
    """What was evaluated, for the report: JSON types."""
    return {
        'artefact': index.layout.artefact,
        'artefact_sha256': index.layout.artefact_sha256,
        'outputs': str(folder),
        'encoding': encoding._asdict(),
        'mask_size': index.layout.mask_shape[1:3],
    }
