"""Compares ways to prune by the errors of the mattes before any retraining."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mattingjax.checkpoints import Checkpoint
from mattingjax.config.pruning import PruneOptions
from mattingjax.data.folders import FileDataset
from mattingjax.evaluation.metrics import mad
from mattingjax.images import resize
from mattingjax.images.compositing import to_uint8
from mattingjax.networks import apply_compiled
from mattingjax.pruning.photos import load_square
from mattingjax.pruning.plan import plan_pruning, prune_checkpoint, restore_checkpoint
from mattingjax.pruning.recalibration import recalibrate

_DRAWN_SIDE = 192  # pixels of each picture
Pairs = Sequence[tuple[np.ndarray, np.ndarray]]  # uint8 [S, S, 3] and float32 [S, S]


@dataclasses.dataclass(frozen=True, eq=False)
class Outcome:
    """The cost and the errors of one network.

    Attributes:
      parameters: Number of parameters, all heads included.
      macs: Number of multiply-accumulate operations, all heads included.
      errors: Name of each set of photos → mean absolute difference, averaged over the set.
      recalibrated: Name of each set → that mean after recalibration; empty for the dense network.
      alphas: Name of each set → alpha of its first photo, after recalibration if there is one,
        float32 [S, S] in [0, 1].
    """

    parameters: int
    macs: int
    errors: dict[str, float]
    recalibrated: dict[str, float]
    alphas: dict[str, np.ndarray]


def square_pair(image: np.ndarray, alpha: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Crops the middle square of a photo and of its alpha, and resizes them.

    Args:
      image: uint8 [H, W, 3].
      alpha: float32 [H, W] in [0, 1].
      size: The network's input size S in pixels.

    Returns:
      uint8 [S, S, 3] and float32 [S, S] in [0, 1].
    """
    grey = np.repeat(np.round(alpha[..., None] * 255).astype(np.uint8), 3, axis=2)
    return load_square(image, size), load_square(grey, size)[..., 0].astype(np.float32) / 255


def load_squares(
    dataset: FileDataset, size: int, count: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Loads photos and alphas, evenly chosen, as `square_pair` crops them.

    Args:
      dataset: Photos with their alphas.
      size: The network's input size S in pixels.
      count: The most photos to load.

    Returns:
      uint8 [S, S, 3] and float32 [S, S] in [0, 1] of each photo.
    """
    records = (dataset[i] for i in range(0, len(dataset), -(-len(dataset) // count)))
    return [square_pair(record['image'], record['alpha'], size) for record in records]


def compare_pruning(
    checkpoint: Checkpoint,
    options: Mapping[str, PruneOptions],
    sets: Mapping[str, Pairs],
    batches: Sequence[np.ndarray],
    gradients: Sequence[Any] | None = None,
) -> dict[str, Outcome]:
    """Prunes a network in several ways and measures the results.

    Args:
      checkpoint: The dense network. Folded batch normalisations are restored first, which changes
        neither its outputs nor its kernels.
      options: Name of each way → its options.
      sets: Name of each set → its photos and alphas, as `square_pair` returns them.
      batches: Photos for recalibration, as `recalibrate` takes them.
      gradients: Gradients for the importance 'taylor', as `compute_importance` takes them.

    Returns:
      'dense' and the name of each way → its outcome, in the order of `options`.

    Raises:
      MattingError: An option does not fit the network.
    """
    dense = restore_checkpoint(checkpoint, batches)
    outcomes: dict[str, Outcome] = {}
    for name, chosen in options.items():
        plan = plan_pruning(dense.config, dense.variables, chosen, gradients=gradients)
        if not outcomes:
            errors, alphas = _measure(dense, sets)
            before = plan.report.before
            outcomes['dense'] = Outcome(before.parameters, before.macs, errors, {}, alphas)
        pruned = prune_checkpoint(dense, plan)
        errors, _ = _measure(pruned, sets)
        fitted = recalibrate(pruned.config, pruned.variables, batches)
        recalibrated, alphas = _measure(Checkpoint(pruned.config, fitted), sets)
        after = plan.report.after
        outcomes[name] = Outcome(after.parameters, after.macs, errors, recalibrated, alphas)
    return outcomes


def _measure(
    network: Checkpoint, sets: Mapping[str, Pairs]
) -> tuple[dict[str, float], dict[str, np.ndarray]]:
    errors: dict[str, float] = {}
    firsts: dict[str, np.ndarray] = {}
    for name, pairs in sets.items():
        values = []
        for image, true_alpha in pairs:
            images = image[None].astype(np.float32)
            outputs = apply_compiled(network.config, network.variables, images)
            alpha = np.asarray(outputs['alpha'])[0, :, :, 0]
            values.append(mad(alpha, true_alpha))
            firsts.setdefault(name, alpha)
        errors[name] = float(np.mean(values))
    return errors, firsts


def format_comparison(outcomes: Mapping[str, Outcome]) -> str:
    """Formats outcomes as a Markdown table, with MAD in hundredths before and after recalibration.

    Args:
      outcomes: What `compare_pruning` returns.
    """
    sets = list(outcomes['dense'].errors)
    titles = ['', 'parameters', 'G MACs', *sets, *(f'{name}, recalibrated' for name in sets)]
    lines = ['| ' + ' | '.join(titles) + ' |', '| --- |' + ' ---: |' * (len(titles) - 1)]
    for name, outcome in outcomes.items():
        after = [outcome.recalibrated.get(key) for key in sets]
        errors = [*outcome.errors.values(), *after]
        cells = [name, f'{outcome.parameters:,}', f'{outcome.macs / 1e9:.2f}']
        cells += ['' if error is None else f'{100 * error:.2f}' for error in errors]
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def draw_comparison(
    outcomes: Mapping[str, Outcome], sets: Mapping[str, Pairs]
) -> list[list[np.ndarray]]:
    """Pictures of the first photo of each set, for `mattingjax.images.sheets.make_sheet`.

    Args:
      outcomes: What `compare_pruning` returns.
      sets: The sets that it was given.

    Returns:
      A row for each set: the photo, its true alpha, and the alpha of each outcome.
    """
    rows = []
    for key, pairs in sets.items():
        image, true_alpha = pairs[0]
        alphas = [true_alpha, *(outcome.alphas[key] for outcome in outcomes.values())]
        pictures = [image, *map(to_uint8, alphas)]
        rows.append([resize(picture, _DRAWN_SIDE, _DRAWN_SIDE) for picture in pictures])
    return rows
