"""Mattes a video, a camera, or frames on standard input.

  mattingjax video clip.mp4 --output cutout.webm
  mattingjax video clip.mp4 --output composite.mp4 --background blur
  mattingjax video clip.mp4 --output alpha.mkv --kind alpha --lossless
  mattingjax video camera:0 --show --background beach.jpg
  ffmpeg -i clip.mp4 -f rawvideo -pix_fmt rgb24 - |
      mattingjax video - --size 1280x720 --fps 30 --output alpha.mp4 --kind alpha

Every frame keeps its time, the sound is copied, and phones' rotation is applied. The suffix of
--output decides the format: .webm, .mov and .mkv hold cut-outs, .mp4 only alphas and composites, a
path without suffix becomes a folder of PNG files. Mattes are steadied by a one-frame delay after
MODNet's. Ctrl-C ends the result early, and it is whole up to there. A source that is damaged is
matted as far as it goes, and the exit status is 2 if it ends early.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from absl import flags

from mattingjax.commands.network import Network
from mattingjax.errors import MattingError
from mattingjax.process import command_line
from mattingjax.process.reading import explain_absence

_NETWORK = Network()
_INPUT = flags.DEFINE_string(
    'input',
    None,
    'A video, a folder of pictures, camera:0 for a camera, or - for standard input: the same as '
    'without --input.',
)
_OUTPUT = flags.DEFINE_string(
    'output',
    None,
    'The result: .mp4, .mov, .mkv or .webm; a path without suffix for a folder of PNG files, or - '
    'for raw frames (grey, RGBA or RGB) on standard output.',
)
_KIND = flags.DEFINE_enum(
    'kind',
    None,
    ['alpha', 'cutout', 'composite'],
    'What the result shows. Default: composite with --background, else cutout.',
)
_BACKGROUND = flags.DEFINE_string(
    'background',
    None,
    "A colour ('white', '#00b140'), a picture, a video, or blur or blur:PIXELS for the own "
    'background.',
)
_LOOP = flags.DEFINE_bool(
    'loop', True, 'Begin a background video anew when it ends; --noloop ends the result with it.'
)
_LOSSLESS = flags.DEFINE_bool('lossless', False, 'Encode without loss, by FFV1, in .mkv.')
_SOUND = flags.DEFINE_bool('sound', True, 'Keep the sound.')
_START = flags.DEFINE_string('start', None, 'Where to begin: seconds, or [HOURS:]MINUTES:SECONDS.')
_DURATION = flags.DEFINE_string('duration', None, 'How much to matte, as --start.')
_FPS = flags.DEFINE_string(
    'fps',
    None,
    'Frames per second of the result, such as 25 or 30000/1001; of raw frames, pictures and '
    'cameras their own, 25 by default. Default for videos: every frame keeps its time.',
)
_SIZE = flags.DEFINE_string(
    'size', None, 'WIDTHxHEIGHT of raw frames on standard input, or of a camera.'
)
_PIXEL_FORMAT = flags.DEFINE_enum(
    'pixel_format', None, ['rgb24', 'yuv420p'], 'Pixel format of raw frames. Default: rgb24.'
)
_OFD = flags.DEFINE_bool(
    'ofd',
    True,
    "Steady mattes by a one-frame delay after MODNet's, where the picture holds still.",
)
_SMOOTHING = flags.DEFINE_float(
    'smoothing',
    0.0,
    'Steady mattes by an exponential filter too, which backs off where things move: from 0, off, '
    'to below 1.',
)
_FOREGROUND = flags.DEFINE_bool(
    'foreground', True, 'Estimate foreground colours, so that hair carries no old background.'
)
_REFINE = flags.DEFINE_bool(
    'refine', False, "Draw edges anew at the frames' own resolution, from their colours."
)
_SHOW = flags.DEFINE_bool('show', False, 'Show the result in a window; q or Escape ends it.')
command_line.define_compilation_cache(may_spare_jax=True)


def main(words: list[str]) -> int:
    # Imported here, so that --help and wrong flags answer at once.
    from mattingjax.errors import VideoError
    from mattingjax.inference.steadying import Steadiness
    from mattingjax.inference.video.matting import PARALLEL, matte_video
    from mattingjax.process.memory import keep_freed_memory
    from mattingjax.process.progress import say

    keep_freed_memory()
    name, source = _find_source(words)
    output = _OUTPUT.value
    if output == '':
        raise MattingError('--output: expected a file, a folder or -, got an empty path')
    if output is None and not _SHOW.value:
        raise MattingError(
            '--output: a value is required, such as cutout.webm, or --show (see --help)'
        )
    predictor = _NETWORK.load(1 if name.startswith('camera:') else PARALLEL)
    summary = matte_video(
        source,
        output,
        kind=_KIND.value,
        background=_BACKGROUND.value,
        loop=_LOOP.value,
        predictor=predictor,
        steadiness=Steadiness(one_frame_delay=_OFD.value, smoothing=_SMOOTHING.value),
        foreground=_FOREGROUND.value,
        refine=_REFINE.value,
        lossless=_LOSSLESS.value,
        sound=_SOUND.value,
        start=_START.value,
        duration=_DURATION.value,
        fps=_FPS.value,
        size=_SIZE.value,
        pixel_format=_PIXEL_FORMAT.value,
        show=_SHOW.value,
        own_process=True,
    )
    for note in summary.notes:
        say(f'note: {note}')
    say(f'{summary.describe()}, {_NETWORK.describe(predictor)}')
    if output not in (None, '-'):
        print(output)
    if summary.stopped_by is not None:
        say('stopped early; the result is whole up to there')
        return 128 + summary.stopped_by
    if summary.damage is not None:
        raise VideoError(f'{name}: {summary.damage}; the result has what was there')
    return 0


def _find_source(words: list[str]) -> tuple[str, Any]:
    """The name of the source, and the source as `matte_video` takes it."""
    given = [*([_INPUT.value] if _INPUT.value is not None else []), *words]
    if len(given) != 1:
        found = ', '.join(given) or 'none'
        hint = '; --output names the result' if len(given) == 2 and _OUTPUT.value is None else ''
        raise MattingError(f'expected one video, folder, camera or -, got {found}{hint}')
    (name,) = given
    if name == '-':
        if sys.stdin is None:
            raise MattingError('-: standard input is closed')
        # Unbuffered: a thread that waits for a buffer when the program ends is an error of Python.
        return 'standard input', getattr(sys.stdin.buffer, 'raw', sys.stdin.buffer)
    if not name.startswith('camera:') and not os.path.exists(name):
        raise MattingError(f'{name or "an empty path"}: {explain_absence(name, "file or folder")}')
    return name, name
