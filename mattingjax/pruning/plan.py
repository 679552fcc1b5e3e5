"""From settings to a pruned checkpoint: first a plan, which can be looked at, then the surgery."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from mattingjax.checkpoints import Checkpoint, hash_checkpoint
from mattingjax.config.pruning import PruneOptions
from mattingjax.errors import MattingError
from mattingjax.networks import ModelConfig, MODNetConfig, Variables
from mattingjax.pruning import reference_rule
from mattingjax.pruning.cost import cost_model
from mattingjax.pruning.groups import channel_groups
from mattingjax.pruning.importance import Importance, compute_importance
from mattingjax.pruning.recalibration import find_folded, recalibrate, restore_batch_norm
from mattingjax.pruning.report import PruneReport, create_report
from mattingjax.pruning.selection import (
    Budget,
    Limits,
    Widths,
    describe_held,
    keep_best,
    search_widths,
    select_global,
    select_uniform,
)
from mattingjax.pruning.surgery import prune, with_widths

_SUFFIXES = {'k': 1e3, 'M': 1e6, 'G': 1e9}
# Steps of the search for a ratio; fewer for latency, since each measurement exports a network.
_STEPS, _LATENCY_STEPS = 14, 5


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class PrunePlan:
    """What will be pruned.

    Attributes:
      config: The network that is cut: the dense one, perhaps without some of its shortcuts.
      keep_indices: The indices of the channels that stay, by name of the group.
      report: The widths and costs before and after.
      target: The final architecture if it differs from the cut network in more than widths, as the
        reference rule may decide; else None.
      prune_info: The decision of the reference rule as the original pruner's JSON; else None.
      notes: Further remarks for the user, one line each.
    """

    config: ModelConfig
    keep_indices: dict[str, np.ndarray]
    report: PruneReport
    target: MODNetConfig | None = None
    prune_info: dict[str, Any] | None = None
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        before, after = self.report.before.parameters, self.report.after.parameters
        return f'PrunePlan({self.config.network}, {before:,} to {after:,} parameters)'


def plan_pruning(
    config: ModelConfig,
    variables: Variables,
    options: PruneOptions,
    *,
    prune_info: dict[str, Any] | None = None,
    gradients: Iterable[Any] | None = None,
    measure_latency: Callable[[ModelConfig], float] | None = None,
) -> PrunePlan:
    """Decides which channels go; nothing is cut yet.

    Args:
      config: The dense network.
      variables: The network's `params` and `batch_stats`.
      options: The settings of pruning.
      prune_info: A decision of the reference rule that is carried out; None makes one.
      gradients: The gradients of `compute_gradients`, for the method 'taylor'.
      measure_latency: A function from a network to its latency in milliseconds, for
        `target_latency`.

    Raises:
      MattingError: A setting is impossible, or does not fit the network.
    """
    rank = functools.partial(_rank, variables=variables, options=options, gradients=gradients)
    if options.selection == 'reference':
        plan = _plan_reference(config, variables, options, prune_info, rank)
    else:
        plan = _plan_shares(config, options, rank(config), measure_latency)
    folded = find_folded(config, variables) if options.method in ('l1', 'l2', 'fpgm') else []
    if folded:
        note = (
            f'{len(folded)} batch normalisations are folded into their kernels, which hides what '
            'the channels matter; recalibrating on photos makes true ones of them first'
        )
        plan = dataclasses.replace(plan, notes=(*plan.notes, note))
    return plan


def _plan_shares(
    config: ModelConfig,
    options: PruneOptions,
    importance: Importance,
    measure_latency: Callable[[ModelConfig], float] | None,
) -> PrunePlan:
    """Plans by 'uniform' or 'global', with the ratio or the least ratio that meets the targets."""
    groups, notes = channel_groups(config), []
    limits = Limits.from_options(options)

    def select(ratio: float, limits: Limits = limits) -> Widths:
        if options.selection == 'global':
            return select_global(groups, importance, ratio, limits)
        return select_uniform(groups, ratio, limits)

    if options.ratio is not None:
        widths = select(options.ratio)
        free = select(options.ratio, limits.without_floor())
        if held := describe_held(groups, widths, free, limits):
            notes.append(held)
    else:
        measure = measure_latency and functools.cache(measure_latency)
        steps = _STEPS if options.target_latency is None else _LATENCY_STEPS
        ratio, widths = search_widths(select, _budgets(config, options, measure), steps)
        notes.append(f'the least ratio that meets the targets is {ratio:.4f}')
        if all(widths[group.name] == group.width for group in groups):
            notes = ['the network meets the targets as it is, so nothing goes']
        if measure is not None and options.target_latency is not None:
            latencies = (measure(with_widths(config, chosen)) for chosen in ({}, widths))
            notes.append('latency: {:.2f} ms → {:.2f} ms'.format(*latencies))
    keep_indices = keep_best(groups, importance, widths)
    return PrunePlan(config, keep_indices, create_report(config, widths), notes=tuple(notes))


def _rank(
    config: ModelConfig,
    *,
    variables: Variables,
    options: PruneOptions,
    gradients: Iterable[Any] | None,
) -> Importance:
    return compute_importance(
        config,
        variables,
        options.method,
        aggregate=options.aggregate,
        normalise=options.normalise,
        scale_invariant=options.scale_invariant,
        gradients=gradients,
        seed=options.seed,
    )


def _budgets(
    config: ModelConfig,
    options: PruneOptions,
    measure_latency: Callable[[ModelConfig], float] | None,
) -> list[Budget]:
    cost = cost_model(config)
    measures: dict[str, Callable[[Widths], float]] = {
        'target_params': lambda widths: cost(widths).parameters,
        'target_macs': lambda widths: cost(widths).macs,
    }
    if measure_latency is not None:
        measures['target_latency'] = lambda widths: measure_latency(with_widths(config, widths))
    budgets = []
    for name in options.targets():
        if name not in measures:
            raise MattingError(f'{name}: needs a way to measure latency')
        limit = parse_target(name, getattr(options, name), functools.partial(measures[name], {}))
        budgets.append(Budget(name, limit, measures[name]))
    return budgets


def parse_target(name: str, text: str, measure_dense: Callable[[], float]) -> float:
    """Parses a budget: '1340000', '1.34M' (or k, G), or '0.5x' for a share of the dense network's.

    Args:
      name: The name of the setting, for the error message.
      text: The budget.
      measure_dense: A function that measures the dense network in the same unit.

    Returns:
      The budget as a number.

    Raises:
      MattingError: The text is none of these, or the number is not over 0.
    """
    text = str(text).strip()
    factor = _SUFFIXES.get(text[-1:])
    is_share = text.endswith('x')
    try:
        value = float(text[:-1] if factor or is_share else text)
    except ValueError:
        value = 0
    if not 0 < value < float('inf'):
        raise MattingError(f"{name}: expected a number over 0, '1.34M' or '0.5x', got {text!r}")
    return value * (measure_dense() if is_share else factor or 1)


def _plan_reference(
    config: ModelConfig,
    variables: Variables,
    options: PruneOptions,
    prune_info: dict[str, Any] | None,
    rank: Callable[[ModelConfig], Importance],
) -> PrunePlan:
    notes: list[str] = []
    hint = 'the prune_info is of another network'
    if prune_info is None:
        if options.ratio is None or options.threshold is None:
            raise MattingError('selection reference: expected a ratio and a threshold')
        prune_info, notes = reference_rule.decide(
            config, variables, options.ratio, options.threshold
        )
        hint = 'the reference rule is for the published widths, not for a MODNet that is narrower'
    if not isinstance(config.architecture, MODNetConfig):
        raise MattingError(f'prune_info: belongs to modnet, this is {config.network}')
    target = reference_rule.architecture_of(prune_info)
    if options.keep_shortcuts:
        groups = channel_groups(config)
        widths = reference_rule.coupled_widths(groups, target, hint, widest=True)
        keep_indices = keep_best(groups, rank(config), widths)
        report = create_report(config, widths)
        return PrunePlan(config, keep_indices, report, notes=tuple(notes))
    base, dropped = reference_rule.drop_shortcuts(config, target)
    groups = channel_groups(base)
    widths = reference_rule.coupled_widths(groups, target, hint)
    finished, changed = reference_rule.build_target(with_widths(base, widths), target)
    report = dataclasses.replace(create_report(base, widths), after=cost_model(finished)({}))
    return PrunePlan(
        base,
        keep_best(groups, rank(base), widths),
        report,
        target,
        prune_info,
        (*notes, *dropped, *changed),
    )


def prune_checkpoint(
    checkpoint: Checkpoint,
    plan: PrunePlan,
    batches: Iterable[np.ndarray] = (),
    provenance: dict[str, Any] | None = None,
) -> Checkpoint:
    """Prunes a checkpoint as planned.

    Args:
      checkpoint: The dense network.
      plan: The plan that `plan_pruning` made for this network.
      batches: Batches of photos, float32 [N, H, W, 3] in [0, 255], on which batch normalisation is
        recalibrated; without any it stays as it is.
      provenance: How the plan came to be, as JSON types, which the provenance of the pruned network
        includes.

    Returns:
      The pruned network. Its provenance holds the widths, the costs, the notes, the hash of the
      dense network, and the provenance of that network.
    """
    batches = list(batches)
    whole = restore_checkpoint(checkpoint, batches) if batches else checkpoint
    config, variables, _ = prune(plan.config, whole.variables, plan.keep_indices)
    if plan.target is not None:
        config, _ = reference_rule.build_target(config, plan.target)
        variables = reference_rule.fit_variables(config, variables)
    if batches:
        variables = recalibrate(config, variables, batches)
    pruned = {
        'sha256': hash_checkpoint(checkpoint),
        **(provenance or {}),
        **plan.report.to_dict(),
        'notes': list(plan.notes),
        'recalibrated_on': sum(map(len, batches)),
    }
    history = {'pruned': pruned, 'dense': checkpoint.config.provenance}
    return Checkpoint(dataclasses.replace(config, provenance=history), variables)


def restore_checkpoint(checkpoint: Checkpoint, batches: Iterable[np.ndarray]) -> Checkpoint:
    """Restores batch normalisation that was folded into kernels, by `restore_batch_norm`.

    Importances of channels mean more once it no longer hides in the kernels.
    """
    variables = restore_batch_norm(checkpoint.config, checkpoint.variables, batches)
    return dataclasses.replace(checkpoint, variables=variables)
