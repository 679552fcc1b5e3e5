r"""Measures estimated foreground colours against those of true cut-outs, and against pymatting's.

  python scripts/benchmark_foreground.py --output out --foregrounds CUTOUTS --backgrounds PHOTOS

Each cut-out is put on a background; its colours are estimated from that and its true alpha. Prints
a Markdown table, a line for each way: `estimate_foreground`, the multi-level method of pymatting if
that is installed (its import compiles for a minute, the first time), and the photo's own colours.
The error is that of a composite on any other background, alpha · (estimated − true colour), in
levels of 255: its mean over the pixels with an alpha of 0.02 to 0.98 of each cut-out, and over the
cut-outs that have such. The size is that of the cut-outs as PNG files, divided by that with the
photo's own colours. The time is that of the largest cut-out on its background, resized to
--megapixels; all run in turn, and the median is divided by pymatting's, or without that by ours.

Writes OUTPUT/foreground.png, the softest parts of cut-outs on green, white and black.
"""

import functools
import importlib.util
from pathlib import Path

from absl import flags

from mattingjax.process import command_line

_FOREGROUNDS = flags.DEFINE_string('foregrounds', None, 'Folder of cut-outs.', required=True)
_BACKGROUNDS = flags.DEFINE_string('backgrounds', None, 'Folder of backgrounds.', required=True)
_OUTPUT = flags.DEFINE_string('output', None, 'Folder of the picture.', required=True)
_MEGAPIXELS = flags.DEFINE_float('megapixels', 12, 'Size of the photo that is timed.', 0.01, 100)
_ROUNDS = flags.DEFINE_integer('rounds', 5, 'Timed runs of each.', lower_bound=1)
_PEER = flags.DEFINE_bool('peer', True, 'Whether pymatting is measured too, if it is installed.')
_DRAWN = flags.DEFINE_integer('drawn', 8, 'Number of cut-outs in the picture.', lower_bound=1)

_COLOURS = {'green': '#00b140', 'white': 'white', 'black': 'black'}
_CROP = 96  # side in pixels of what is drawn of a cut-out, at twice the size


def main() -> None:
    import numpy as np

    from mattingjax.evaluation.datasets import list_composites
    from mattingjax.images import encode_png
    from mattingjax.images.compositing import cut_out
    from mattingjax.process.files import check_folder, write_file
    from mattingjax.process.progress import show_progress

    output = Path(_OUTPUT.value)
    check_folder(output)
    entries = list_composites(Path(_FOREGROUNDS.value), Path(_BACKGROUNDS.value), seed=0)
    ways = _ways()
    errors = {name: [] for name in ways}
    sizes = dict.fromkeys(ways, 0)
    hair = {}  # place of a cut-out → how much of it is soft
    for i, entry in enumerate(show_progress(entries, unit='cut-out')):
        image, alpha, true = _load(entry)
        soft = (alpha > 0.02) & (alpha < 0.98)
        hair[i] = soft.mean()
        for name, estimate in ways.items():
            colours = estimate(image, alpha)
            sizes[name] += len(encode_png(cut_out(colours, alpha)))
            if soft.any():
                difference = colours[soft] - true[soft].astype(np.float32)
                errors[name].append(np.abs(alpha[soft][:, None] * difference).mean())
    seconds = _time(ways, max(entries, key=lambda entry: _load(entry)[1].size))
    print('| colours | error | PNG | time |')
    print('| --- | --- | --- | --- |')
    for name in ways:
        size = sizes[name] / sizes["the photo's own"]
        time = seconds[name] / list(seconds.values())[-2]
        print(f'| {name} | {np.mean(errors[name]):.2f} | {size:.2f} | {time:.3f} |')
    drawn = sorted(hair, key=lambda i: -hair[i])[: _DRAWN.value]
    write_file(output / 'foreground.png', encode_png(_draw([entries[i] for i in drawn], ways)))


def _ways() -> dict:
    """Name of each way → a function of photo and alpha that returns colours."""
    from mattingjax import estimate_foreground

    ways = {'estimate_foreground': estimate_foreground}
    if _PEER.value and importlib.util.find_spec('pymatting'):
        from pymatting import estimate_foreground_ml

        ways['pymatting'] = functools.partial(_peer, estimate_foreground_ml)
    return ways | {"the photo's own": lambda image, alpha: image}


def _peer(estimate, image, alpha):
    import numpy as np

    from mattingjax.images.compositing import to_uint8

    return to_uint8(estimate(image.astype(np.float32) / 255, alpha))


def _load(entry) -> tuple:
    """A cut-out on its background, its alpha, and its own colours."""
    from mattingjax.data.alpha_files import TRUE_ALPHAS
    from mattingjax.images.compositing import composite

    true, alpha = TRUE_ALPHAS.load_cutout(entry.files['foreground'])
    return composite(true, alpha, entry.files['background']), alpha, true


def _time(ways: dict, entry) -> dict[str, float]:
    import numpy as np

    from mattingjax.images import resize
    from mattingjax.process.timing import time_in_turn

    image, alpha, _ = _load(entry)
    scale = (_MEGAPIXELS.value * 1e6 / alpha.size) ** 0.5
    size = [max(1, round(scale * side)) for side in alpha.shape]
    image, alpha = resize(image, *size), np.clip(resize(alpha, *size), 0, 1)
    runs = {name: functools.partial(estimate, image, alpha) for name, estimate in ways.items()}
    return time_in_turn(runs, _ROUNDS.value)


def _draw(entries: list, ways: dict):
    """Draws the part of each cut-out where most is soft."""
    import cv2
    import numpy as np

    from mattingjax.images.compositing import composite
    from mattingjax.images.sheets import make_sheet

    rows, titles = [], []
    for entry in entries:
        image, alpha, true = _load(entry)
        softness = cv2.blur(alpha * (1 - alpha), (_CROP, _CROP))
        y, x = np.unravel_index(np.argmax(softness), alpha.shape)
        top, left = (max(0, at - _CROP // 2) for at in (y, x))
        crop = np.s_[top : top + _CROP, left : left + _CROP]
        colours = {'true': true} | {name: way(image, alpha) for name, way in ways.items()}
        pictures = {'photo': image[crop]}
        for name, background in _COLOURS.items():
            for way, each in colours.items():
                pictures[f'{way}, {name}'] = composite(each, alpha, background)[crop]
        rows.append([part.repeat(2, axis=0).repeat(2, axis=1) for part in pictures.values()])
        titles = list(pictures)
    return make_sheet(rows, titles)


if __name__ == '__main__':
    command_line.run()
