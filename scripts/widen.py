"""Adds channels to a trained network, which computes what it did before, for further training.

  python scripts/widen.py --checkpoint CKPT --output CKPT2 --widths conv_f=16,conv_hr2x.0=32

Names are those of the channel groups that mattingjax prune --dry_run prints. The new widths and
their costs are printed; CKPT2 also gets widths.png, a picture of them.
"""

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
)
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.', required=True)
_WIDTHS = flags.DEFINE_list(
    'widths', None, 'GROUP=WIDTH for each channel group that becomes wider.', required=True
)
_SEED = flags.DEFINE_integer('seed', 0, 'Random seed of the new channels.', lower_bound=0)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.pruning import widen_and_save
    from mattingjax.pruning.widening import parse_widths

    widen_and_save(
        _CHECKPOINT.value,
        _OUTPUT.value,
        parse_widths(_WIDTHS.value),
        seed=_SEED.value,
        overwrite=_OVERWRITE.value,
    )


if __name__ == '__main__':
    command_line.run()
