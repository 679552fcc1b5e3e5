r"""Averages networks that were trained from one another.

  python scripts/average.py --checkpoints runs/street/last,runs/portraits/last --weights 1,3 \
    --output runs/both

Each variable becomes the weighted mean of theirs. Between a network and the same one after further
training this often keeps what the first did well; networks trained apart cannot be averaged.
"""

from absl import flags

from mattingjax.process import command_line

_CHECKPOINTS = flags.DEFINE_list(
    'checkpoints', None, 'Two or more checkpoint directories or names.', required=True
)
_WEIGHTS = flags.DEFINE_list('weights', None, 'A number of 0 or more each. Default: all equal.')
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.checkpoints import check_target, load_checkpoint, save_checkpoint
    from mattingjax.checkpoints.averaging import average_checkpoints
    from mattingjax.errors import MattingError

    check_target(_OUTPUT.value, overwrite=_OVERWRITE.value)
    try:
        weights = _WEIGHTS.value and [float(weight) for weight in _WEIGHTS.value]
    except ValueError as error:
        raise MattingError(
            f'--weights: expected numbers, got {",".join(_WEIGHTS.value)}'
        ) from error
    averaged = average_checkpoints([load_checkpoint(path) for path in _CHECKPOINTS.value], weights)
    save_checkpoint(_OUTPUT.value, averaged, overwrite=_OVERWRITE.value)
    shares = ', '.join(
        f'{part["share"]:.2f} {path}'
        for part, path in zip(
            averaged.config.provenance['averaged'], _CHECKPOINTS.value, strict=True
        )
    )
    print(f'{_OUTPUT.value}: {shares}')


if __name__ == '__main__':
    command_line.run()
