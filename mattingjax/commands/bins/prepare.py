r"""Turns photos into .bin files, exactly as an artefact wants them, and alphas into masks.

  mattingjax bins prepare --artefact export/model.pb --images photos --alphas mattes \
    --output bins
  mattingjax bins prepare --artefact export/model.pb --foregrounds cutouts \
    --backgrounds places --output bins

Photos and alphas have the same names, extensions aside. Cut-outs (transparent pictures) are
each put on one of the backgrounds. The output folder gets images/NAME.bin (the network's input,
[1, H, W, 3] without a header), masks/NAME.bin (float32 [1, H, W, 1] in [0, 1]), index.json and
preview.png; it is written whole or not at all.
"""

from pathlib import Path
from typing import Any

from absl import flags

from mattingjax.process import command_line

_ARTEFACT = flags.DEFINE_string(
    'artefact', None, '.pb, .onnx, .xml or .tflite; its manifest or metadata tells its input.'
)
_HEIGHT = flags.DEFINE_integer(
    'height',
    None,
    'Height of the input in pixels; needed without --artefact, or if that takes any size.',
)
_WIDTH = flags.DEFINE_integer(
    'width',
    None,
    'Width of the input in pixels; needed without --artefact, or if that takes any size.',
)
_DTYPE = flags.DEFINE_enum(
    'dtype',
    None,
    ['float32', 'uint8'],
    "Type of the input. Default: the artefact's, or float32. uint8, for a model with AIPP, is "
    'never normalised.',
)
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their alphas.')
_ALPHA_VALUES = flags.DEFINE_string('alpha_values', 'auto', command_line.ALPHA_VALUES_HELP)
_FOREGROUNDS = flags.DEFINE_string(
    'foregrounds', None, 'Folder of cut-outs, instead of photos and alphas.'
)
_BACKGROUNDS = flags.DEFINE_string('backgrounds', None, 'Folder of backgrounds for the cut-outs.')
_SEED = flags.DEFINE_integer('seed', 0, 'Random seed for the choice of backgrounds.', lower_bound=0)
_MASK_SIZE = flags.DEFINE_string(
    'mask_size',
    None,
    'Height x width of the masks, such as 800x600, to which outputs are resized. Default: the '
    "input's.",
)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder to make.', required=True)
_OVERWRITE = flags.DEFINE_bool('overwrite', False, 'Replace what prepare wrote there before.')


def main() -> None:
    # Imported here, so that --help and wrong flags answer at once.
    from exporters.bins.index import PREVIEW_FILE, create_layout
    from exporters.bins.preparation import prepare_bins
    from mattingjax.evaluation import Folders, parse_size

    paths: dict[str, Any] = {
        flag.name: Path(flag.value)
        for flag in (_IMAGES, _ALPHAS, _FOREGROUNDS, _BACKGROUNDS)
        if flag.value
    }
    folders = Folders(**paths, seed=_SEED.value, alpha_values=_ALPHA_VALUES.value)
    layout = create_layout(
        Path(_ARTEFACT.value) if _ARTEFACT.value else None,
        height=_HEIGHT.value,
        width=_WIDTH.value,
        dtype=_DTYPE.value,
        mask_size=parse_size(_MASK_SIZE.value, 'mask_size') if _MASK_SIZE.value else None,
    )
    output = Path(_OUTPUT.value)
    folders.check_outside(output)
    index = prepare_bins(folders.open(), layout, output, overwrite=_OVERWRITE.value)
    print(
        f'{len(index.items)} inputs, {layout.input_dtype} {list(layout.input_shape)}, and their '
        f'masks in {output}; {output / PREVIEW_FILE} shows some'
    )
