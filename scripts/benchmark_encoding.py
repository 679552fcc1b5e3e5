"""Measures how fast and how small pictures are written, against Pillow's PNG of level 3.

  python scripts/benchmark_encoding.py --images PHOTOS

Every photo is matted, and each kind of picture that `predict.py` makes of it is encoded in every
format that it may have, in turn with Pillow's PNG, so that other work of the machine slows all
alike. What counts are the ratios, of the times summed over the photos and of the bytes: below 1, a
picture is written faster, or is smaller, than by Pillow.

With `--megapixels=12` photos are enlarged first, with the noise that cameras add.
"""

from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_IMAGES = flags.DEFINE_string('images', None, 'Folder of photos.', required=True)
_CHECKPOINT = flags.DEFINE_string(
    'checkpoint', None, 'What mattes the photos; by default the best weights that ship.'
)
_MEGAPIXELS = flags.DEFINE_float(
    'megapixels', None, 'Size of the photos; their own by default.', lower_bound=0.01
)
_ROUNDS = flags.DEFINE_integer('rounds', 3, 'Timed runs of each.', lower_bound=1)
command_line.define_compilation_cache()


def main() -> None:
    from mattingjax import create_predictor
    from mattingjax.errors import ImageError
    from mattingjax.images import find_images, load_image

    paths = find_images(Path(_IMAGES.value))
    if not paths:
        raise ImageError(f'{_IMAGES.value}: holds no picture')
    predictor = create_predictor(_CHECKPOINT.value) if _CHECKPOINT.value else create_predictor()
    times: dict[tuple[str, str], float] = {}
    sizes: dict[tuple[str, str], int] = {}
    for path in paths:
        image = load_image(path)
        if _MEGAPIXELS.value:
            image = _enlarge(image, _MEGAPIXELS.value)
        for kind, picture in _draw(image, predictor(image)).items():
            _measure(kind, picture, times, sizes)
    print(f'{"":12}{"":8}{"time":>8}{"size":>8}')
    for kind, name in times:
        base = kind, 'Pillow'
        time, size = (total[kind, name] / total[base] for total in (times, sizes))
        print(f'{kind:12}{name:8}{time:8.2f}{size:8.2f}')


def _draw(image, alpha) -> dict:
    from mattingjax.images import Photo
    from mattingjax.inference.outputs import OUTPUTS, finish

    outputs = _outputs(OUTPUTS)
    return {kind: drawn.pixels for kind, drawn in finish(Photo(image), alpha, outputs)}


def _outputs(kinds: tuple[str, ...], name: str = 'png'):
    from mattingjax.images.compositing import Background
    from mattingjax.inference.outputs import Outputs

    return Outputs(kinds, Background('#00b140'), format=name)


def _measure(kind: str, picture, times: dict, sizes: dict) -> None:
    """Adds the time and size of one picture in each format to the totals."""
    from mattingjax.errors import ImageError
    from mattingjax.images import FORMATS, encode_image, encode_png
    from mattingjax.process.timing import time_in_turn

    runs = {'Pillow': lambda: encode_png(picture, compress_level=3)}
    for name in FORMATS:
        try:
            if _outputs((kind,), name).extensions()[kind] != name:
                continue
        except ImageError:  # this kind of picture cannot have that format
            continue
        runs[name] = lambda name=name: encode_image(picture, name)
    seconds = time_in_turn(runs, _ROUNDS.value)
    for name, run in runs.items():
        key = kind, name
        times[key] = times.get(key, 0) + seconds[name]
        sizes[key] = sizes.get(key, 0) + len(run())


def _enlarge(image, megapixels: float):
    import numpy as np

    from mattingjax.images import resize

    height, width = image.shape[:2]
    scale = (megapixels * 1e6 / (height * width)) ** 0.5
    image = resize(image, round(height * scale), round(width * scale)).astype(np.float32)
    image += np.random.default_rng(0).normal(0, 3, image.shape)
    return np.round(np.clip(image, 0, 255)).astype(np.uint8)


if __name__ == '__main__':
    command_line.run()
