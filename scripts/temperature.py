"""Makes a network's mattes more decided, or less, by dividing what its last layer gives.

  python scripts/temperature.py --checkpoint runs/mmnet/last --images photos --alphas alphas
  python scripts/temperature.py --checkpoint runs/mmnet/last --temperatures 0.67 --output runs/sharp

The first compares --temperatures on photos whose alphas are known; the second writes the network
with one. With all of these flags the one with the least mean absolute error is written. Photos that
it was trained on will do.
"""

from absl import flags

from mattingjax import command_line

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
)
_TEMPERATURES = flags.DEFINE_list(
    'temperatures', ['1', '0.8', '0.67', '0.5', '0.33'], 'Numbers over 0; below 1: more decided.'
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their alphas, of the same names.')
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.')
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from pathlib import Path

    from mattingjax.checkpoints import check_target, load_checkpoint, save_checkpoint
    from mattingjax.errors import MattingError
    from mattingjax.evaluation import Folders
    from mattingjax.temperature import METRICS, compare_temperatures, with_temperature

    try:
        temperatures = [float(temperature) for temperature in _TEMPERATURES.value]
    except ValueError as error:
        raise MattingError(
            f'--temperatures: expected numbers, got {",".join(_TEMPERATURES.value)}'
        ) from error
    output, images, alphas = _OUTPUT.value, _IMAGES.value, _ALPHAS.value
    compares = bool(images or alphas)
    if not compares and not (output and len(temperatures) == 1):
        raise MattingError('expected --images and --alphas, or --output and one of --temperatures')
    if output:
        check_target(output, overwrite=_OVERWRITE.value)
    checkpoint = load_checkpoint(_CHECKPOINT.value)
    best = temperatures[0]
    if compares:
        folders = Folders(images and Path(images), alphas and Path(alphas))
        errors = compare_temperatures(checkpoint, folders.open(), temperatures)
        print('temperature', *(f'{name:>10}' for name in METRICS))
        for temperature, means in errors.items():
            print(f'{temperature:11g}', *(f'{means[name]:10.5f}' for name in METRICS))
        best = min(temperatures, key=lambda temperature: errors[temperature]['mad'])
    if output:
        save_checkpoint(output, with_temperature(checkpoint, best), overwrite=_OVERWRITE.value)
        print(f'{output}: temperature {best:g}')


if __name__ == '__main__':
    command_line.run(main)
