"""Removes channels from a checkpoint's network; what is left is a checkpoint like any other.

  python scripts/prune.py --checkpoint CKPT --ratio 0.5 --dry_run
  python scripts/prune.py --checkpoint CKPT --output CKPT2 --config configs/prune_modnet.py
  python scripts/prune.py --checkpoint CKPT --output CKPT2 --target_params 1.34M --target_macs 4.4G
  python scripts/prune.py --checkpoint MODNET --output CKPT2 --ratio 0.5 --threshold 0.5

The plan is printed first: each group's width before and after, parameters, MACs, size. CKPT2 also
gets widths.png, a picture of that, and with the reference rule (--threshold, or --prune_info)
prune_info.json. Flags win over the file of --config.
"""

import contextlib

from absl import flags
from ml_collections import config_flags

from mattingjax.config.files import define_config
from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
)
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.')
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')
_DRY_RUN = flags.DEFINE_bool('dry_run', False, 'Print the plan and write nothing.')
_CONFIG = define_config(
    'Settings: a file such as configs/prune_modnet.py, or the name of one there; '
    '--config.ratio=0.3 changes one.'
)
_PRUNE_INFO = flags.DEFINE_string(
    'prune_info', None, "The original pruner's JSON: prune a MODNet to its widths."
)
_SETTINGS = [
    flags.DEFINE_enum(
        'selection',
        None,
        ['uniform', 'global', 'reference'],
        'How widths are chosen. Default: uniform; reference with --threshold or --prune_info.',
    ),
    flags.DEFINE_float('ratio', None, 'Share of channels that goes, 0 or more and below 1.'),
    flags.DEFINE_float('threshold', None, "The reference rule's, for the backbone, 0 to 1."),
    flags.DEFINE_bool(
        'keep_shortcuts', None, 'Reference rule: keep shortcuts that the original would drop.'
    ),
    flags.DEFINE_string('target_params', None, "Most parameters: '1.34M', or '0.2x' of now."),
    flags.DEFINE_string('target_macs', None, "Most MACs, every head included: '4.4G', '0.25x'."),
    flags.DEFINE_string(
        'target_latency',
        None,
        "Most milliseconds of OpenVINO on this CPU: '40', '0.5x'; exports several networks.",
    ),
    flags.DEFINE_integer('round_to', None, 'Widths become multiples of this. Default: 8.'),
    flags.DEFINE_integer('min_channels', None, 'The least that a group keeps. Default: 8.'),
    flags.DEFINE_float('max_ratio', None, 'The largest share that a group loses. Default: 0.9.'),
    flags.DEFINE_list(
        'ignore', None, "Groups that stay, * and ? allowed: 'backbone.blocks.*.hidden'."
    ),
    flags.DEFINE_list('group_ratios', None, "Groups with ratios of their own: 'conv_hr*=0.25'."),
    flags.DEFINE_enum(
        'method',
        None,
        ['l1', 'l2', 'bn_scale', 'fpgm', 'taylor', 'random'],
        'What makes a channel important. Default: l1; taylor needs --images and --alphas.',
    ),
    flags.DEFINE_enum(
        'aggregate', None, ['mean', 'sum', 'max'], 'How coupled kernels combine. Default: mean.'
    ),
    flags.DEFINE_bool('normalise', None, "Divide each kernel's importance by its mean."),
    flags.DEFINE_bool(
        'scale_invariant', None, 'Fold normalisation in and count the weights that read a channel.'
    ),
    flags.DEFINE_integer('seed', None, 'Of --method=random.'),
]
_RECALIBRATE = flags.DEFINE_string(
    'recalibrate', None, 'Folder of photos, without labels, to fit batch normalisation to.'
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos for --method=taylor.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their alphas, of the same names.')
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_PHOTOS = flags.DEFINE_integer(
    'photos', 32, 'How many of these photos are used, evenly chosen.', lower_bound=1
)
command_line.define_compilation_cache()


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax import pruning
    from mattingjax.checkpoints import (
        check_target,
        hash_checkpoint,
        load_checkpoint,
        save_checkpoint,
    )
    from mattingjax.errors import MattingError
    from mattingjax.images import encode_png
    from mattingjax.pruning import reference_rule

    options = _read_options()
    if not _DRY_RUN.value:
        if not _OUTPUT.value:
            raise MattingError('--output: a folder for the pruned checkpoint is needed')
        check_target(_OUTPUT.value, overwrite=_OVERWRITE.value)
    photos = pruning.choose_photos(_RECALIBRATE.value, _PHOTOS.value) if _RECALIBRATE.value else []
    dense = load_checkpoint(_CHECKPOINT.value)
    batches = list(pruning.load_batches(dense.config, photos))
    checkpoint = pruning.restore_checkpoint(dense, batches) if batches else dense
    info = reference_rule.read_prune_info(_PRUNE_INFO.value) if _PRUNE_INFO.value else None
    with _open_latency(checkpoint.config, options) as measure_latency:
        plan = pruning.plan_pruning(
            checkpoint.config,
            checkpoint.variables,
            options,
            prune_info=info,
            gradients=_compute_gradients(checkpoint) if options.method == 'taylor' else None,
            measure_latency=measure_latency,
        )
    print(pruning.format_report(plan.report))
    for note in plan.notes:
        print(f'note: {note}')
    if _DRY_RUN.value:
        return
    pruned = pruning.prune_checkpoint(
        checkpoint,
        plan,
        batches,
        {
            'options': options.to_dict(),
            'checkpoint': _CHECKPOINT.value,
            'sha256': hash_checkpoint(dense),
        },
    )
    files = {'widths.png': encode_png(pruning.draw_widths(plan.report))}
    if plan.prune_info is not None:
        text = reference_rule.format_prune_info(plan.prune_info)
        files[reference_rule.PRUNE_INFO_FILE] = text.encode()
    save_checkpoint(_OUTPUT.value, pruned, overwrite=_OVERWRITE.value, files=files)
    print(f'{_OUTPUT.value}: {plan.report.after.parameters:,} parameters, written')


def _read_options():
    """Settings of --config, and over them those of the flags."""
    from mattingjax.errors import MattingError
    from mattingjax.pruning import PruneOptions, merge_settings

    flag = flags.FLAGS['config']
    settings = merge_settings(
        _CONFIG.value.to_dict() if _CONFIG.value is not None else {},
        {flag.name: flag.value for flag in _SETTINGS if flag.value is not None},
        changed=config_flags.get_override_values(flag) if _CONFIG.value is not None else (),
        has_info=bool(_PRUNE_INFO.value),
    )
    options = PruneOptions.from_settings(settings)
    if (_IMAGES.value or _ALPHAS.value) and options.method != 'taylor':
        raise MattingError('--images, --alphas: only with --method=taylor')
    return options


def _compute_gradients(checkpoint):
    from pathlib import Path

    from mattingjax.errors import MattingError
    from mattingjax.pruning import compute_gradients, load_pairs

    if not (_IMAGES.value and _ALPHAS.value):
        raise MattingError('--method=taylor: needs --images and --alphas')
    images, alphas = Path(_IMAGES.value), Path(_ALPHAS.value)
    pairs = load_pairs(
        checkpoint.config, images, alphas, _PHOTOS.value, alpha_values=_ALPHA_VALUES.value
    )
    return compute_gradients(checkpoint.config, checkpoint.variables, pairs)


@contextlib.contextmanager
def _open_latency(config, options):
    """What measures latency, each trial with a line; None without a target for it."""
    if options.target_latency is None:
        yield None
        return
    from exporters.latency import latency_beside

    with latency_beside(config) as measure:

        def measure_and_tell(trial) -> float:
            milliseconds = measure(trial)
            print(f'a trial: {milliseconds:.2f} ms', flush=True)
            return milliseconds

        yield measure_and_tell


if __name__ == '__main__':
    command_line.run(main)
