"""Pruning from one checkpoint directory to another, which is what mattingjax prune calls."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable
from pathlib import Path

from mattingjax.checkpoints import (
    check_target,
    hash_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from mattingjax.config.pruning import PruneOptions
from mattingjax.errors import MattingError
from mattingjax.images import encode_png
from mattingjax.networks import ModelConfig
from mattingjax.pruning import reference_rule
from mattingjax.pruning.gradients import compute_gradients
from mattingjax.pruning.photos import choose_photos, load_batches, load_pairs
from mattingjax.pruning.plan import plan_pruning, prune_checkpoint, restore_checkpoint
from mattingjax.pruning.report import draw_widths, format_report

# From a network, makes a context with a function that measures latencies of networks like it, in
# milliseconds.
OpenLatency = Callable[
    [ModelConfig], contextlib.AbstractContextManager[Callable[[ModelConfig], float]]
]


def prune_and_save(
    checkpoint: str,
    output: str | None,
    options: PruneOptions,
    *,
    prune_info: str | None = None,
    recalibrate: str | None = None,
    images: str | None = None,
    alphas: str | None = None,
    alpha_values: str = 'auto',
    photos: int = 32,
    overwrite: bool = False,
    open_latency: OpenLatency | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Prunes a checkpoint: tells the plan, and writes the pruned one with a picture of the widths.

    With the reference rule, the decision is written as prune_info.json too.

    Args:
      checkpoint: A checkpoint directory, or the name of weights that ship.
      output: The checkpoint directory to make; None writes nothing.
      options: The settings of pruning.
      prune_info: The JSON file of the original pruner whose widths a MODNet is pruned to.
      recalibrate: A folder of photos, without labels, on which batch normalisation is recalibrated.
      images: A folder of photos for the method 'taylor'.
      alphas: The folder of the alphas of `images`, of the same names.
      alpha_values: What the values in the alphas mean, as `data.alpha_values` describes it.
      photos: The largest number of photos of each folder that are used, evenly chosen.
      overwrite: Whether a checkpoint that lies at `output` is replaced.
      open_latency: Makes the context that measures latency for `target_latency`, such as
        `exporters.latency.latency_beside`.
      tell: Gets the texts for the user: a line for each trial of latency, the plan before anything
        is written, and what was written.

    Raises:
      MattingError: Arguments do not fit together or to the network, or files cannot be read or
        written.
    """
    if options.method == 'taylor' and not (images and alphas):
        raise MattingError('images, alphas: expected both for method=taylor')
    if options.method != 'taylor' and (images or alphas):
        raise MattingError('images, alphas: only with method=taylor')
    if output is not None:
        check_target(output, overwrite=overwrite)
    chosen = choose_photos(recalibrate, photos) if recalibrate else []
    dense = load_checkpoint(checkpoint)
    batches = list(load_batches(dense.config, chosen))
    whole = restore_checkpoint(dense, batches) if batches else dense
    info = reference_rule.read_prune_info(prune_info) if prune_info else None
    gradients = None
    if images and alphas:
        pairs = load_pairs(
            whole.config, Path(images), Path(alphas), photos, alpha_values=alpha_values
        )
        gradients = compute_gradients(whole.config, whole.variables, pairs)
    with contextlib.ExitStack() as stack:
        measure = None
        if open_latency is not None and options.target_latency is not None:
            measure = _with_lines(stack.enter_context(open_latency(whole.config)), tell)
        plan = plan_pruning(
            whole.config,
            whole.variables,
            options,
            prune_info=info,
            gradients=gradients,
            measure_latency=measure,
        )
    tell('\n'.join([format_report(plan.report), *(f'note: {note}' for note in plan.notes)]))
    if output is None:
        return
    source = {'checkpoint': checkpoint, 'sha256': hash_checkpoint(dense)}
    pruned = prune_checkpoint(whole, plan, batches, {'options': options.to_dict(), **source})
    files = {'widths.png': encode_png(draw_widths(plan.report))}
    if plan.prune_info is not None:
        text = reference_rule.format_prune_info(plan.prune_info)
        files[reference_rule.PRUNE_INFO_FILE] = text.encode()
    save_checkpoint(output, pruned, overwrite=overwrite, files=files)
    tell(f'{output}: {plan.report.after.parameters:,} parameters, written')


def _with_lines(
    measure: Callable[[ModelConfig], float], tell: Callable[[str], None]
) -> Callable[[ModelConfig], float]:
    """Has a measurement tell a line each time, since it is slow."""

    def measure_and_tell(trial: ModelConfig) -> float:
        milliseconds = measure(trial)
        tell(f'a trial: {milliseconds:.2f} ms')
        if sys.stdout is not None:
            sys.stdout.flush()  # through a pipe too
        return milliseconds

    return measure_and_tell
