"""Which video files hold which pictures, and how they are encoded."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from fractions import Fraction

from mattingjax.errors import MattingError, OutputError

KINDS = ('alpha', 'cutout', 'composite')

_VIDEOS = '.mp4, .mov, .mkv, .webm'
_FOLDER = 'a folder (PNG pictures)'


@dataclasses.dataclass(frozen=True)
class Coding:
    """How pictures become a video's packets. Packets come in the order of the pictures.

    Attributes:
      encoder: FFmpeg's name of it.
      pixels: FFmpeg's name of the pixel format that it gets.
      options: Its options.
      parallel: Whether its threads are worth their overhead.
      independent: Whether every picture is encoded by itself.
    """

    encoder: str
    pixels: str
    options: Mapping[str, str] = dataclasses.field(hash=False)
    parallel: bool = True
    independent: bool = False

    @property
    def full_range(self) -> bool:
        """Whether black is 0 and white 255, as in pictures, or 16 and 235, as in videos."""
        return self.pixels in ('gray', 'bgra', 'bgr0') and self.encoder == 'ffv1'


@dataclasses.dataclass(frozen=True)
class Container:
    """A kind of video file.

    Attributes:
      format: FFmpeg's name of it.
      sound: FFmpeg's name of the encoder for sound that it does not hold as it is.
      unusual: How names of codecs for sound begin that FFmpeg would write, and hardly any player
        reads.
    """

    format: str
    sound: str
    unusual: tuple[str, ...] = ()


CONTAINERS = {
    '.mp4': Container('mp4', 'aac', ('pcm', 'vorbis')),
    '.mov': Container('mov', 'aac'),
    '.mkv': Container('matroska', 'libopus'),
    '.webm': Container('webm', 'libopus'),
}


def _h264(preset: str, quality: int) -> Coding:
    # Without B-frames packets come in the order of time; it costs a few per cent of size.
    return Coding('libx264', 'yuv420p', {'preset': preset, 'crf': str(quality), 'bf': '0'})


def _vp9(pixels: str, quality: int) -> Coding:
    options = {
        'deadline': 'realtime',
        'cpu-used': '8',
        'row-mt': '1',
        'crf': str(quality),
        'lag-in-frames': '0',
        'auto-alt-ref': '0',  # such frames are not shown, and there are none with transparency
    }
    return Coding('libvpx-vp9', pixels, options)


def _ffv1(pixels: str) -> Coding:
    options = {'level': '3', 'slices': '4', 'slicecrc': '1', 'coder': '0', 'context': '0'}
    return Coding('ffv1', pixels, options, parallel=pixels != 'gray', independent=True)


# An alpha has few details: at the same quality it needs a fifth of the bits of a photo.
_ALPHA = _h264('superfast', 14)
_COMPOSITE = _h264('veryfast', 16)
_CUTOUT = _vp9('yuva420p', 15)
# The second of FFmpeg's encoders of ProRes 4444 takes 2.5 times as long, and has odd widths.
_PRORES = Coding('prores_aw', 'yuva444p10le', {'profile': '4'}, independent=True)
_SLOW_PRORES = Coding(
    'prores_ks', 'yuva444p10le', {'profile': '4444', 'alpha_bits': '16'}, independent=True
)
_CODINGS: Mapping[str, Mapping[str, Coding]] = {
    'alpha': {'.mp4': _ALPHA, '.mov': _ALPHA, '.mkv': _ALPHA, '.webm': _vp9('yuv420p', 15)},
    'cutout': {'.mov': _PRORES, '.mkv': _CUTOUT, '.webm': _CUTOUT},
    'composite': {
        '.mp4': _COMPOSITE,
        '.mov': _COMPOSITE,
        '.mkv': _COMPOSITE,
        '.webm': _vp9('yuv420p', 20),
    },
}
_LOSSLESS = {'alpha': _ffv1('gray'), 'cutout': _ffv1('bgra'), 'composite': _ffv1('bgr0')}


def choose_coding(name: str, suffix: str, kind: str, *, lossless: bool = False) -> Coding:
    """Chooses how the pictures of a video file are encoded.

    Args:
      name: What messages call the file.
      suffix: How its name ends, in lower case, with the dot.
      kind: One of `KINDS`.
      lossless: Whether every pixel must come back as it was.

    Raises:
      MattingError: There is no such kind.
      OutputError: There is no such format, or it cannot hold these pictures.
    """
    if kind not in KINDS:
        raise MattingError(f'kind: expected one of {", ".join(KINDS)}, got {kind!r}')
    if suffix not in CONTAINERS:
        expected = '.mkv' if lossless else _VIDEOS
        close = difflib.get_close_matches(suffix, CONTAINERS, 1)
        hint = f' (did you mean {close[0]}?)' if close else ''
        raise OutputError(f'{name}: expected {expected} or {_FOLDER}, found {suffix}{hint}')
    if lossless:
        if suffix != '.mkv':
            raise OutputError(
                f'{name}: {suffix} cannot hold pictures without loss; expected .mkv or {_FOLDER}'
            )
        return _LOSSLESS[kind]
    if suffix not in _CODINGS[kind]:
        raise OutputError(
            f'{name}: {suffix} cannot hold the transparency of a cut-out; expected .webm, .mov, '
            f'.mkv or {_FOLDER}, or the kind alpha or composite'
        )
    return _CODINGS[kind][suffix]


def for_pictures(
    coding: Coding, kind: str, shape: tuple[int, int], pixel_aspect: Fraction
) -> tuple[Coding, list[str]]:
    """The coding for pictures of a size, which may be an odd number of pixels.

    Args:
      coding: What `choose_coding` returned.
      kind: One of `KINDS`.
      shape: Height and width in pixels.
      pixel_aspect: Width of a pixel divided by its height.

    Returns:
      The coding, and what a user should know of it.
    """
    height, width = shape
    notes = []
    if coding.encoder in ('libvpx-vp9', 'ffv1') and pixel_aspect != 1:
        # Matroska could say it, but PyAV has no way to tell FFmpeg; the other codecs, and .mov, do.
        notes.append(
            f'pixels are {float(pixel_aspect):.2f} times as wide as high, which the file cannot '
            'say: players show the picture too narrow or too wide; .mp4 and .mov keep its shape'
        )
    if coding.encoder == 'libx264' and (height % 2 or width % 2):
        # H.264 with colours at half the resolution has even sizes only.
        pixels = 'gray' if kind == 'alpha' else 'yuv444p'
        notes.append(
            f'some players do not show H.264 of an odd size ({width}x{height}); .webm has any size'
        )
        return dataclasses.replace(coding, pixels=pixels), notes
    if coding is _PRORES and width % 2:
        return _SLOW_PRORES, notes
    if coding.encoder == 'ffv1' and min(shape) == 1:  # a line of pixels has no four parts
        return dataclasses.replace(coding, options={**coding.options, 'slices': '1'}), notes
    return coding, notes
