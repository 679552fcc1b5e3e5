"""Packs data sets into one folder of a few large files, to train on and to take along.

  python scripts/pack.py --dataset street=csv:labels/labels.csv --licence street=MIT --output PACK
  python scripts/pack.py --dataset heads=rgba:CUTOUTS --dataset places=unlabelled:PHOTOS --output P

PACK/street is then a data set (--config.dataset.kind=packed --config.dataset.root=PACK/street), and
PACK/places may be --config.data.backgrounds. Photos are shrunk to --side, never enlarged, and
stored as JPEG, alphas as 8-bit PNG; records keep their order. PACK/pack.json has the licences and
the SHA-256 of what was written, PACK/street/sources.csv that of what was read. Photos that cannot
be read are left out and counted. With --photos=png, a --side that no photo exceeds and alphas of 8
bits, a training is the same to the bit as from the folders.
"""

from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_DATASET = flags.DEFINE_multi_string(
    'dataset',
    None,
    'NAME=KIND:ROOT, of a kind that --config.dataset.kind takes; may be repeated. Data sets of one '
    'NAME become one part of the pack.',
    required=True,
)
_OF_DATASETS = [
    flags.DEFINE_multi_string(name, [], f'{text} May be repeated.')
    for name, text in {
        'licence': 'NAME=TEXT, the licence of the photos; NAME=@FILE takes the text of a file.',
        'every': 'NAME=N, of which data set only every N-th record is taken.',
        'split': 'NAME=SPLIT, for mmnet and ppm100. Default: train.',
        'images': 'NAME=FOLDER of the images in the ROOT of folders. Default: image.',
        'alphas': 'NAME=FOLDER of the alphas in the ROOT of folders. Default: alpha.',
        'alpha_values': f'NAME=VALUES. {command_line.ALPHA_VALUES_HELP}',
    }.items()
]
_SIDE = flags.DEFINE_integer(
    'side', 384, 'Shorter side in pixels to which larger photos are shrunk.', lower_bound=1
)
_PHOTOS = flags.DEFINE_enum(
    'photos', 'jpeg', ['jpeg', 'png'], 'Format of the photos; png keeps every pixel.'
)
_QUALITY = flags.DEFINE_integer(
    'quality', 85, 'Quality of JPEG photos.', lower_bound=1, upper_bound=100
)
_SHARD_MB = flags.DEFINE_integer(
    'shard_mb', 256, 'Size in MB from which a file is followed by another.', lower_bound=1
)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace a pack that lies there.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.data.pack_sources import open_sources
    from mattingjax.data.packing import Encoder, pack

    pack(
        open_sources(_DATASET.value, **{flag.name: flag.value for flag in _OF_DATASETS}),
        Path(_OUTPUT.value),
        Encoder(_SIDE.value, _PHOTOS.value, _QUALITY.value),
        shard_mb=_SHARD_MB.value,
        overwrite=_OVERWRITE.value,
    )


if __name__ == '__main__':
    command_line.run()
