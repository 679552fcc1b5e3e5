"""Makes a network's mattes more decided, or less, by dividing what its last layer gives.

  python scripts/temperature.py --checkpoint runs/mmnet/last --images photos --alphas alphas
  python scripts/temperature.py --checkpoint runs/mmnet/last --temperatures 0.67 --output runs/sharp

The first compares --temperatures on photos whose alphas are known, best ones that it was not
trained on: errors are means over their pixels, in [0, 1]. The second writes the network with one
temperature. With photos and --output, the one with the least mean absolute error is written.
"""

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
)
_TEMPERATURES = flags.DEFINE_list(
    'temperatures',
    ['1', '0.8', '0.67', '0.5', '0.33'],
    'Numbers from 0.05 to 20; below 1: more decided.',
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their alphas, of the same names.')
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.')
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')
command_line.define_compilation_cache()


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from pathlib import Path

    from mattingjax.checkpoints import check_target, load_checkpoint, save_checkpoint
    from mattingjax.errors import MattingError
    from mattingjax.evaluation import Folders, temperature

    try:
        temperatures = [float(number) for number in _TEMPERATURES.value]
    except ValueError as error:
        raise MattingError(
            f'--temperatures: expected numbers, got {",".join(_TEMPERATURES.value)}'
        ) from error
    output, images, alphas = _OUTPUT.value, _IMAGES.value, _ALPHAS.value
    if bool(images) != bool(alphas):
        raise MattingError('--images, --alphas: expected both or neither')
    if not images and (not output or len(temperatures) != 1):
        raise MattingError('expected --images and --alphas, or --output and one --temperatures')
    if not temperatures:
        raise MattingError('--temperatures: expected at least one number, got none')
    if output:
        check_target(output, overwrite=_OVERWRITE.value)
    checkpoint = load_checkpoint(_CHECKPOINT.value)
    chosen = temperatures[0]
    if images:
        folders = Folders(Path(images), Path(alphas), alpha_values=_ALPHA_VALUES.value)
        records = folders.open()
        errors = temperature.compare_temperatures(checkpoint, records, temperatures)
        print(temperature.format_temperatures(errors))
        chosen = temperature.best_temperature(errors)
    if output:
        scaled = temperature.with_temperature(checkpoint, chosen)
        save_checkpoint(output, scaled, overwrite=_OVERWRITE.value)
        print(f'{output}: temperature {chosen:g}')


if __name__ == '__main__':
    command_line.run(main)
