"""Makes a network's mattes more decided, or less, by dividing the output of its last layer.

  python scripts/temperature.py --checkpoint runs/mmnet/last --images photos --alphas alphas
  python scripts/temperature.py --checkpoint runs/mmnet/last --temperatures 0.67 --output runs/sharp

The first command compares --temperatures on photos with known alphas, preferably photos that the
network was not trained on: errors are means over the pixels. The second command writes the network
with one temperature. With photos and --output, the temperature with the least mean absolute error
is written.
"""

from absl import flags

from mattingjax.process import command_line

_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'Checkpoint directory, or the name of weights that ship.', required=True
)
_TEMPERATURES = flags.DEFINE_list(
    'temperatures',
    ['1', '0.8', '0.67', '0.5', '0.33'],
    'Numbers from 0.05 to 20. Mattes are more decided with numbers below 1.',
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their alphas, of the same names.')
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_OUTPUT = flags.DEFINE_string('output', None, 'Checkpoint directory to make.')
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a checkpoint that lies there.')
command_line.define_compilation_cache()


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.evaluation.temperature import rescale

    rescale(
        _CHECKPOINT.value,
        _TEMPERATURES.value,
        images=_IMAGES.value,
        alphas=_ALPHAS.value,
        alpha_values=_ALPHA_VALUES.value,
        output=_OUTPUT.value,
        overwrite=_OVERWRITE.value,
    )


if __name__ == '__main__':
    command_line.run()
