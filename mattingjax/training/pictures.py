"""Pictures of a training for people: its curves, and the mattes of its validation."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mattingjax.images import resize
from mattingjax.images.compositing import to_uint8
from mattingjax.images.sheets import make_row, make_sheet

_PICTURE_SIZE = 192  # the side of each picture in pixels
_MEANS = 50  # the largest number of points in the curve of the mean loss


def draw_curves(
    steps: Sequence[Mapping[str, float]], validation: Sequence[Mapping[str, float]]
) -> bytes:
    """Draws the loss, the learning rate and the validation figures over the steps.

    Args:
      steps: Rows with `step`, `loss` and `learning_rate`.
      validation: Rows with `step` and a number for each figure; there may be none.

    Returns:
      The content of a PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    names = [name for name in (validation[0] if validation else {}) if name != 'step']
    figure = Figure(figsize=(5 * (1 + len(names)), 4), layout='constrained')
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(names), squeeze=False)[0]
    _draw_losses(axes[0], steps)
    for axis, name in zip(axes[1:], names, strict=True):
        axis.plot([row['step'] for row in validation], [row[name] for row in validation], 'o-')
        axis.set(title=f'validation {name}', xlabel='step')
        _show_zero(axis, [row[name] for row in validation])
    picture = io.BytesIO()
    figure.savefig(picture, format='png', dpi=100)
    return picture.getvalue()


def _draw_losses(axis: Any, rows: Sequence[Mapping[str, float]]) -> None:
    axis.set(title='loss', xlabel='step', yscale='log')
    if not rows:
        return
    steps = np.array([row['step'] for row in rows])
    losses = np.array([row['loss'] for row in rows])
    axis.plot(steps, losses, color='0.8', label='each step')
    size = -(-len(rows) // _MEANS)
    if size > 1:
        # Means over equal stretches keep the curve readable, however many steps there are.
        means = [
            values[: len(rows) // size * size].reshape(-1, size).mean(1)
            for values in (steps, losses)
        ]
        axis.plot(*means, label=f'mean of {size} steps')
    axis.legend()
    rate = axis.twinx()
    rates = [row['learning_rate'] for row in rows]
    rate.plot(steps, rates, color='C2', linestyle=':')
    rate.set(ylabel='learning rate (dotted)')
    _show_zero(rate, rates)


def _show_zero(axis: Any, values: Sequence[float]) -> None:
    """Makes an axis begin a little below zero and end a little above its largest value."""
    top = max((value for value in values if np.isfinite(value)), default=0.0) or 1.0
    axis.set_ylim(-0.05 * top, 1.05 * top)


def draw_mattes(
    images: Sequence[np.ndarray], pred_alphas: Sequence[np.ndarray], true_alphas: Sequence[Any]
) -> np.ndarray:
    """Draws a row for each photo: photo, matte, cut-out on a checkerboard and true matte.

    Args:
      images: The photos, each uint8 [S, S, 3].
      pred_alphas: The network's mattes, each float32 [S, S] in [0, 1].
      true_alphas: The true mattes, each float32 [S, S] in [0, 1]; None for a photo without one.

    Returns:
      The picture, uint8 [h, w, 3].
    """
    rows = []
    for image, pred_alpha, true_alpha in zip(images, pred_alphas, true_alphas, strict=True):
        row = make_row(image, pred_alpha)
        row += [] if true_alpha is None else [to_uint8(true_alpha)]
        rows.append([resize(picture, _PICTURE_SIZE, _PICTURE_SIZE) for picture in row])
    titles = ['photo', 'matte', 'cut-out', 'true matte']
    return make_sheet(rows, titles[: max(map(len, rows))])
