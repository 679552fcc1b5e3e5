"""Importance: how much each channel of each group matters, as one number per channel.

The measures of magnitude (L1, L2, geometric median) look at the kernels that compute a channel. By
itself such a norm says little, for two reasons.

* Batch normalisation undoes any scaling of the kernel before it: the standard deviation of its
  output is its scale, however large the kernel. Where normalisation was folded into the kernels, as
  in the backbone of the published MODNet, a kernel's norm depends on how large the inputs are
  instead; `restore_batch_norm` undoes the folding.
* The next layer may undo any other scaling: a channel that is ten times smaller and read by weights
  that are ten times larger is no less important (ReLU lets such factors through).

So with `scale_invariant`, the default, each filter's norm is replaced by the scale of its
normalisation, and a channel's importance is multiplied by the magnitude of the weights that read
it. `scale_invariant=False` takes plain norms, as the literature does.
`scripts/benchmark_pruning.py` shows what both leave of the published MODNet's mattes.

Layers differ in scale too: `normalise` divides the importances of each kernel by their mean, so
that the kernels of a group count alike and groups can be ranked against each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from flax.traverse_util import flatten_dict

from mattingjax.config.pruning import AGGREGATIONS, METHODS
from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig, Variables
from mattingjax.networks.channel_groups import ChannelGroup, TensorSlice
from mattingjax.pruning.groups import channel_groups
from mattingjax.pruning.recalibration import find_folded

_AGGREGATE: dict[str, Callable[..., np.ndarray]] = {
    'mean': np.mean,
    'sum': np.sum,
    'max': np.max,
}

Importance = dict[str, np.ndarray]  # [width] by name of the group; larger is more important


def compute_importance(
    config: ModelConfig,
    variables: Variables,
    method: str = 'l1',
    *,
    aggregate: str = 'mean',
    normalise: bool = True,
    scale_invariant: bool = True,
    gradients: Iterable[Any] | None = None,
    seed: int = 0,
) -> Importance:
    """Computes the importance of every channel of a network.

    Args:
      config: The network.
      variables: The network's `params` and `batch_stats`.
      method: The measure. 'l1' and 'l2' are norms of each filter, 'bn_scale' is |scale| of the
        batch normalisation, and 'fpgm' is the sum of the distances to the other filters, so that
        filters go that others can replace. 'taylor' is the first-order change of the loss if
        nothing reads the channel: |Σ gradient · weight| over the weights that read it. 'random' is
        a baseline.
      aggregate: How the importances from several kernels of a group are combined: 'mean', 'sum' or
        'max'. 'taylor' always adds up the changes of the loss.
      normalise: Whether the importances of each kernel (for 'bn_scale' of each normalisation) are
        divided by their mean first. Without it, 'taylor' compares groups by their effect on the
        loss, and the other methods by raw magnitude.
      scale_invariant: Whether the methods 'l1', 'l2' and 'fpgm' ignore scalings that normalisation
        and the next layer undo, as the docstring of this module explains.
      gradients: For 'taylor', gradients in the structure of `params`, for each photo or batch; the
        changes are averaged over them.
      seed: The random seed of the method 'random'.

    Returns:
      The importances by name of the group, each float64 [width].

    Raises:
      MattingError: The method or the aggregation is unknown, 'taylor' has no gradients, or for
        'bn_scale' the scales of a normalisation are all equal.

    References:
      Li et al., Pruning Filters for Efficient ConvNets (https://arxiv.org/abs/1608.08710): l1.
      Liu et al., Network Slimming (https://arxiv.org/abs/1708.06519): bn_scale.
      He et al., Filter Pruning via Geometric Median (https://arxiv.org/abs/1811.00250): fpgm.
      Molchanov et al., Importance Estimation (https://arxiv.org/abs/1906.10771): taylor.
    """
    for name, value, known in (
        ('method', method, METHODS),
        ('aggregate', aggregate, AGGREGATIONS),
    ):
        if value not in known:
            raise MattingError(f'{name}: expected one of {", ".join(known)}, got {value!r}')
    values = _as_arrays(variables)
    groups = channel_groups(config)
    if method == 'random':
        rng = np.random.default_rng(seed)
        return {group.name: rng.uniform(size=group.width) for group in groups}
    if method == 'taylor':
        scores = _loss_changes(groups, values, gradients or ())
        return {name: _scale(score, normalise) for name, score in scores.items()}
    if method == 'bn_scale':
        return {
            group.name: _batch_norm_scales(group, values, aggregate, normalise) for group in groups
        }
    if scale_invariant:
        values = _scale_filters(values, find_folded(config, variables), method)
    return _measure_groups(groups, values, method, aggregate, normalise, scale_invariant)


def _measure_groups(
    groups: Iterable[ChannelGroup],
    values: dict[str, np.ndarray],
    method: str,
    aggregate: str,
    normalise: bool,
    count_readers: bool,
) -> Importance:
    scores = {}
    for group in groups:
        score = _combine(group, 'output', values, method, aggregate, normalise)
        if count_readers:
            norm = 'l1' if method == 'l1' else 'l2'
            score = score * _combine(group, 'input', values, norm, aggregate, normalise)
        scores[group.name] = score
    return scores


def _as_arrays(tree: Any) -> dict[str, np.ndarray]:
    return {
        path: np.asarray(value, np.float64) for path, value in flatten_dict(tree, sep='/').items()
    }


def _scale(score: np.ndarray, normalise: bool) -> np.ndarray:
    mean = score.mean()
    return score / mean if normalise and mean > 0 else score


def _channels(part: TensorSlice, value: np.ndarray) -> np.ndarray:
    """Takes a group's channels out of a variable, one per row: [count, everything else]."""
    rows = np.moveaxis(value, part.axis, 0)[part.offset : part.offset + part.count]
    return rows.reshape(part.count, -1)


def _measure(rows: np.ndarray, method: str) -> np.ndarray:
    """Measures each filter of [filters, weights]; returns [filters]."""
    if method == 'l1':
        return np.abs(rows).sum(axis=1)
    if method == 'l2':
        return np.sqrt(np.square(rows).sum(axis=1))
    squares = np.square(rows).sum(axis=1)
    distances = squares[:, None] + squares[None] - 2 * rows @ rows.T
    return np.sqrt(np.maximum(distances, 0)).sum(axis=1)


def _combine(
    group: ChannelGroup,
    role: str,
    values: dict[str, np.ndarray],
    method: str,
    aggregate: str,
    normalise: bool,
) -> np.ndarray:
    scores = [
        _scale(_measure(_channels(part, values[part.path]), method), normalise)
        for part in group.having(role)
    ]
    return _AGGREGATE[aggregate](scores, axis=0)


def _scale_filters(
    values: dict[str, np.ndarray], folded: Iterable[str], method: str
) -> dict[str, np.ndarray]:
    """Scales filters so that their norm is the standard deviation of their normalised output.

    That is |scale| for batch normalisation and 1 for instance normalisation. A kernel into which
    normalisation was folded stays as it is, since the deviation of its output is unknown.
    """
    scaled, folded = dict(values), set(folded)
    for path, kernel in values.items():
        module = path.removeprefix('params/').removesuffix('/conv/kernel')
        scale = values.get(f'params/{module}/bn/scale')
        if scale is None or f'{module}/bn' in folded:
            continue
        norm = np.abs(kernel) if method == 'l1' else np.square(kernel)
        norms = norm.sum(axis=(0, 1, 2)) ** (1 if method == 'l1' else 0.5)
        deviations = np.ones(kernel.shape[-1])
        deviations[: len(scale)] = np.abs(scale)
        scaled[path] = kernel * (deviations / np.maximum(norms, 1e-12))
    return scaled


def _batch_norm_scales(
    group: ChannelGroup, values: dict[str, np.ndarray], aggregate: str, normalise: bool
) -> np.ndarray:
    scales = [np.abs(values[part.path]) for part in group.slices if part.path.endswith('/bn/scale')]
    for scale in scales:
        if len(scale) > 1 and np.ptp(scale) == 0:
            raise MattingError(
                f'bn_scale: every scale of {group.name} is {scale[0]:g}, as where batch '
                'normalisation was folded into the kernels; choose another method'
            )
    if not scales:  # squeeze-and-excitation has no normalisation, so no channel is preferred
        return np.ones(group.width)
    # Instance normalisation has no scale, which amounts to a scale of 1.
    padded = [np.pad(scale, (0, group.width - len(scale)), constant_values=1) for scale in scales]
    return _AGGREGATE[aggregate]([_scale(scale, normalise) for scale in padded], axis=0)


def _loss_changes(
    groups: Iterable[ChannelGroup], values: dict[str, np.ndarray], gradients: Iterable[Any]
) -> Importance:
    """Averages the changes over the gradients, one at a time, as each is as large as a network."""
    totals = {group.name: np.zeros(group.width) for group in groups}
    count = 0
    for tree in gradients:
        count += 1
        products = {
            path: gradient * values[path] for path, gradient in _as_arrays({'params': tree}).items()
        }
        for group in groups:
            change = sum(
                _channels(part, products[part.path]).sum(axis=1) for part in group.having('input')
            )
            totals[group.name] += np.abs(change)
    if not count:
        raise MattingError('taylor: needs gradients (photos and their alphas)')
    return {name: total / count for name, total in totals.items()}
