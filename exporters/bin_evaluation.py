"""How far a run's outputs are from the masks: a table, a report, and the worst to look at."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tqdm

from exporters.bin_index import Index, input_as_photo, load_input, load_mask
from exporters.bin_outputs import Encoding, load_output, match_outputs
from exporters.bin_preparation import draw_row
from mattingjax.compositing import make_sheet
from mattingjax.errors import MattingError
from mattingjax.files import write_file
from mattingjax.images import encode_png, resize
from mattingjax.metrics import compute_metrics

_WORST = 5


class Evaluation(NamedTuple):
    """What came of an evaluation.

    Attributes:
      outputs: Name of each photo → its output file.
      encoding: How outputs are stored.
      errors: Name of each photo → its errors, see `mattingjax.metrics.compute_metrics`.
    """

    outputs: dict[str, Path]
    encoding: Encoding
    errors: dict[str, dict[str, float]]

    @property
    def means(self) -> dict[str, float]:
        """Name of each error → its mean over the photos."""
        rows = list(self.errors.values())
        return {name: float(np.mean([row[name] for row in rows])) for name in rows[0]}

    @property
    def worst(self) -> list[str]:
        """The photos of the largest mean absolute difference, the worst first."""
        return sorted(self.errors, key=lambda name: -self.errors[name]['mad'])[:_WORST]


def evaluate_bins(
    folder: Path,
    prepared: Path,
    index: Index,
    *,
    channels: int | None = None,
    dtype: str | None = None,
) -> Evaluation:
    """Compares outputs with masks, at the masks' size.

    Progress goes to standard error if that is a terminal.

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
    outputs = match_outputs(folder, index)
    layout = index.layout
    channels = channels or layout.output_channels
    first: Encoding | None = None
    errors = {}
    for item in tqdm.tqdm(index.items, unit='photo', desc='evaluating', disable=None):
        mask = load_mask(prepared, item, layout)[0, ..., 0]
        path = outputs[item.name]
        alpha, encoding = load_output(path, layout.input_shape[1:3], channels, dtype)
        first = first or encoding
        if encoding != first:
            raise MattingError(
                f'{path}: {encoding} by its size, but {outputs[index.items[0].name].name} is '
                f'{first}; expected all alike'
            )
        errors[item.name] = compute_metrics(_fit(alpha, mask), mask)
    assert first is not None  # an index has at least one photo
    return Evaluation(outputs, first, errors)


def format_table(evaluation: Evaluation) -> str:
    """The errors of the worst photos, and the means of all, in columns."""
    rows = {name: evaluation.errors[name] for name in evaluation.worst}
    label = f'mean of {len(evaluation.errors)}'
    width = max(map(len, [*rows, label]))
    head = ' ' * width + ''.join(f'{name:>15}' for name in evaluation.means)
    lines = [
        f'{name:{width}}' + ''.join(f'{value:15.6f}' for value in row.values())
        for name, row in [*rows.items(), (label, evaluation.means)]
    ]
    return '\n'.join([head, *lines])


def write_report(path: Path, evaluation: Evaluation, prepared: Path, index: Index) -> list[Path]:
    """Writes the report as JSON, and beside it the errors as CSV and the worst photos as PNG.

    The picture shows, the worst first: input, mask, output, and the difference of the two.

    Args:
      path: The JSON file; the others' names are made of it.
      evaluation: What to report.
      prepared: The folder that `prepare` wrote.
      index: Its index.

    Returns:
      The files written.

    Raises:
      OutputError: One cannot be written.
    """
    report = {
        'artefact': index.layout.artefact,
        'artefact_sha256': index.layout.artefact_sha256,
        'outputs': str(next(iter(evaluation.outputs.values())).parent),
        'encoding': evaluation.encoding._asdict(),
        'size': index.layout.mask_shape[1:3],
        'count': len(evaluation.errors),
        'units': {
            'mad, mse': 'means over the pixels',
            'mean_gradient': 'mean over the pixels, 1/pixel (MMNet)',
            'sad, gradient, connectivity': 'sums over the pixels in thousands',
        },
        'means': evaluation.means,
        'photos': evaluation.errors,
    }
    table = io.StringIO()
    writer = csv.writer(table, lineterminator='\n')
    writer.writerow(['name', *evaluation.means])
    writer.writerows([name, *row.values()] for name, row in evaluation.errors.items())
    files = {
        path: (json.dumps(report, indent=1) + '\n').encode(),
        path.with_suffix('.csv'): table.getvalue().encode('utf-8', 'backslashreplace'),
        path.with_suffix('.png'): encode_png(_draw_worst(evaluation, prepared, index)),
    }
    for file, content in files.items():
        write_file(file, content)
    return list(files)


def _draw_worst(evaluation: Evaluation, prepared: Path, index: Index) -> np.ndarray:
    layout, items = index.layout, {item.name: item for item in index.items}
    rows = []
    for name in evaluation.worst:
        mask = load_mask(prepared, items[name], layout)[0, ..., 0]
        image = input_as_photo(load_input(prepared, items[name], layout), layout)
        alpha, _ = load_output(
            evaluation.outputs[name], layout.input_shape[1:3], *evaluation.encoding
        )
        alpha = _fit(alpha, mask)
        rows.append(draw_row(resize(image, *mask.shape), mask, alpha, np.abs(alpha - mask)))
    return make_sheet(rows)


def _fit(alpha: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """An alpha at the mask's size, resized as `mattingjax.Predictor` does for a photo."""
    return np.clip(resize(alpha, *mask.shape), 0, 1)
