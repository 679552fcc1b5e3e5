"""Removes channels from a checkpoint's network; what is left is a checkpoint like any other.

  mattingjax prune --checkpoint CKPT --ratio 0.5 --dry_run
  mattingjax prune --checkpoint CKPT --output CKPT2 --config configs/prune_modnet.py
  mattingjax prune --checkpoint CKPT --output CKPT2 --target_params 1.34M --target_macs 4.4G
  mattingjax prune --checkpoint MODNET --output CKPT2 --ratio 0.5 --threshold 0.5

The plan is printed first: each group's width before and after, parameters, MACs and size. CKPT2
also gets widths.png, a picture of the widths, and with the reference rule (--threshold or
--prune_info) prune_info.json. Flags win over the file of --config.
"""

from absl import flags
from ml_collections import config_flags

from mattingjax.config.files import define_config
from mattingjax.config.flags import define_flags, given_flags
from mattingjax.config.pruning import PruneOptions, merge_settings
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
    'prune_info', None, "The original pruner's JSON file: prune a MODNet to its widths."
)
define_flags(PruneOptions)
_RECALIBRATE = flags.DEFINE_string(
    'recalibrate', None, 'Folder of photos, without labels, to fit batch normalisation to.'
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos for --method=taylor.')
_ALPHAS = flags.DEFINE_string(
    'alphas', None, 'Folder of the alphas of --images, of the same names.'
)
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_PHOTOS = flags.DEFINE_integer(
    'photos',
    32,
    'Largest number of photos of each folder that are used, evenly chosen.',
    lower_bound=1,
)
command_line.define_compilation_cache()


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from exporters.latency import latency_beside
    from mattingjax.errors import MattingError
    from mattingjax.pruning import prune_and_save

    config = _CONFIG.value
    settings = merge_settings(
        {} if config is None else config.to_dict(),
        given_flags(PruneOptions),
        changed=() if config is None else config_flags.get_override_values(flags.FLAGS['config']),
        has_info=bool(_PRUNE_INFO.value),
    )
    if not (_OUTPUT.value or _DRY_RUN.value):
        raise MattingError('--output: a folder for the pruned checkpoint is needed')
    prune_and_save(
        _CHECKPOINT.value,
        None if _DRY_RUN.value else _OUTPUT.value,
        PruneOptions.from_settings(settings),
        prune_info=_PRUNE_INFO.value,
        recalibrate=_RECALIBRATE.value,
        images=_IMAGES.value,
        alphas=_ALPHAS.value,
        alpha_values=_ALPHA_VALUES.value,
        photos=_PHOTOS.value,
        overwrite=_OVERWRITE.value,
        open_latency=latency_beside,
    )
