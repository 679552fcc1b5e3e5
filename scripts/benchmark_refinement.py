r"""Measures what refine_alpha makes of a network's mattes: the soft band's error, and the time.

  python scripts/benchmark_refinement.py --images PHOTOS --alphas MATTES --output out
  python scripts/benchmark_refinement.py --foregrounds CUTOUTS --backgrounds PHOTOS \
    --checkpoint mmnet --output out

For each photo prints the mean absolute error in the soft band of its true alpha, in hundredths,
before and after, their ratio, and the seconds of CPU time that refining took per million pixels;
then the means. OUTPUT/refinement.png has a crop of each photo, where refining changed most: the
photo, the alpha before and after, and the true one. Photos whose alpha is a mask of 0 and 1 have no
soft band and are left out.
"""

import time
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_OUTPUT = flags.DEFINE_string('output', None, 'Folder of the picture.', required=True)
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint',
    'modnet_p',
    'Checkpoint directory, the name of weights that ship, or an artefact (.xml, .onnx, .pb, '
    '.tflite).',
)
_INPUT_SIZE = command_line.define_input_size()
_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.')
_ALPHAS = flags.DEFINE_string('alphas', None, 'Folder of their alphas.')
_FOREGROUNDS = flags.DEFINE_string('foregrounds', None, 'Folder of cut-outs.')
_BACKGROUNDS = flags.DEFINE_string('backgrounds', None, 'Folder of backgrounds.')
_LEAST_SIDE = flags.DEFINE_integer(
    'least_side', 1, 'Photos whose shorter side has fewer pixels are left out.', lower_bound=1
)
_CROPS = flags.DEFINE_integer('crops', 12, 'Photos in the picture.', lower_bound=1)
_CROP_SIDE = flags.DEFINE_integer('crop_side', 256, 'Side of a crop in pixels.', lower_bound=1)
command_line.define_compilation_cache()


def main() -> None:
    import numpy as np

    from mattingjax.errors import MattingError
    from mattingjax.evaluation import Folders
    from mattingjax.evaluation.metrics.soft_band import mad_soft, soft_band
    from mattingjax.images import encode_png
    from mattingjax.images.sheets import make_sheet
    from mattingjax.inference import create_predictor
    from mattingjax.inference.refinement import refine_alpha
    from mattingjax.process.files import check_folder, write_file

    check_folder(Path(_OUTPUT.value))
    folders = {
        'images': _IMAGES.value,
        'alphas': _ALPHAS.value,
        'foregrounds': _FOREGROUNDS.value,
        'backgrounds': _BACKGROUNDS.value,
    }
    records = Folders(**{name: Path(path) for name, path in folders.items() if path}).open()
    predictor = create_predictor(_CHECKPOINT.value, input_size=_INPUT_SIZE.value)
    rows, crops = [], []
    print(f'{"photo":28}{"before":>9}{"after":>9}{"ratio":>8}{"s/Mpixel":>10}')
    for record in records:
        image, true_alpha = record['image'], np.squeeze(record['alpha'])
        if min(true_alpha.shape) < _LEAST_SIDE.value or not soft_band(true_alpha).any():
            continue
        alpha = predictor(image)
        start = time.process_time()
        refined = refine_alpha(image, alpha, predictor.network_size(*alpha.shape))
        seconds = (time.process_time() - start) / alpha.size * 1e6
        before, after = (100 * mad_soft(each, true_alpha) for each in (alpha, refined))
        rows.append((before, after, after / before if before else 1.0, seconds))
        print(_line(record['name'], rows[-1]), flush=True)
        if len(crops) < _CROPS.value:
            crops.append(_crop(image, alpha, refined, true_alpha))
    if not rows:
        raise MattingError('no photo has an alpha with a soft band, or all are too small')
    print(_line(f'mean of {len(rows)}', np.mean(rows, axis=0)))
    print(f'largest ratio {max(row[2] for row in rows):.3f}')
    sheet = make_sheet(crops, ('photo', 'before', 'after', 'true'))
    write_file(Path(_OUTPUT.value, 'refinement.png'), encode_png(sheet))


def _line(name: str, row) -> str:
    before, after, ratio, seconds = row
    return f'{name[:27]:28}{before:9.3f}{after:9.3f}{ratio:8.3f}{seconds:10.3f}'


def _crop(image, alpha, refined, true_alpha) -> list:
    """The square in which refining changed most, of the photo and of each alpha."""
    import cv2
    import numpy as np

    from mattingjax.images.compositing import to_uint8

    side = min(_CROP_SIDE.value, *alpha.shape)
    change = cv2.blur(np.abs(refined - alpha), (side, side))
    y, x = np.unravel_index(change.argmax(), change.shape)
    top = int(np.clip(y - side // 2, 0, alpha.shape[0] - side))
    left = int(np.clip(x - side // 2, 0, alpha.shape[1] - side))
    part = np.s_[top : top + side, left : left + side]
    return [image[part], *(to_uint8(each[part]) for each in (alpha, refined, true_alpha))]


if __name__ == '__main__':
    command_line.run()
