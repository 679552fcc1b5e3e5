"""Draws synthetic portraits into a folder, so that a training need not draw them in every epoch.

  python scripts/draw_portraits.py --count 4000 --size 256 --output drawn

drawn/cutout holds the people (--config.dataset.kind=rgba), drawn/background their backgrounds
(--config.data.backgrounds), and drawn/overview.png shows some of them. The dataset 'synthetic' of
the same size and seed has the same portraits.
"""

from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_COUNT = flags.DEFINE_integer('count', 1000, 'Number of portraits.', lower_bound=1)
_SIZE = flags.DEFINE_integer('size', 256, 'Side in pixels.', lower_bound=32, upper_bound=2048)
_SEED = flags.DEFINE_integer('seed', 0, 'Random seed.', lower_bound=0)
_WORKERS = flags.DEFINE_integer('workers', 2, 'Number of processes that draw.', lower_bound=1)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace portraits that lie there.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.data.synthetic import SyntheticPortraits, write_portraits

    output = Path(_OUTPUT.value)
    write_portraits(
        SyntheticPortraits(_COUNT.value, _SIZE.value, _SEED.value),
        output,
        workers=_WORKERS.value,
        overwrite=_OVERWRITE.value,
    )
    print(output)


if __name__ == '__main__':
    command_line.run()
