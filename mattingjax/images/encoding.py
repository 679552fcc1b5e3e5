"""Encodes pictures as PNG, WebP and JPEG, with their colour profile."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from mattingjax.errors import ImageError

_deflate: Callable[..., bytes] = zlib.compress
with contextlib.suppress(ImportError):  # some processors have no isal; zlib is four times as slow
    from isal import isal_zlib

    _deflate = isal_zlib.compress

FORMATS = ('png', 'webp', 'jpg')

_CHANNELS = {1: 'grey', 3: 'RGB', 4: 'RGBA'}
_PNG_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}  # number of channels → its code in the header
_UP = 2  # the code of the filter that takes from each byte the one above it
_FASTEST = 1
_LARGEST_WEBP = 16383  # pixels a side
_WEBP_QUALITY = 90
_JPEG_QUALITY = 92


def choose_format(channels: int, wanted: str) -> str:
    """Chooses the format in which a picture is written.

    Args:
      channels: 1 for a matte, which is PNG whatever is wanted, since the others would change it; 3
        for RGB; 4 for RGBA.
      wanted: One of `FORMATS`.

    Returns:
      One of `FORMATS`, which is also the extension of the file.

    Raises:
      ImageError: There is no such format, or it has no transparency and the picture has.
    """
    if wanted not in FORMATS:
        raise ImageError(f'format: expected one of {", ".join(FORMATS)}, got {wanted}')
    if wanted == 'jpg' and channels == 4:
        raise ImageError(
            'format: jpg has no transparency, which a cut-out needs; expected png or webp, or '
            'outputs without cutout'
        )
    return 'png' if channels == 1 else wanted


def encode_image(image: np.ndarray, format: str = 'png', icc_profile: bytes | None = None) -> bytes:
    """Encodes a picture: PNG without loss, WebP and JPEG at a quality that shows none.

    Args:
      image: uint8 [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA.
      format: One of `FORMATS`, which `choose_format` chooses.
      icc_profile: The colour profile of the pixels, or None for sRGB.

    Returns:
      The bytes of the file.

    Raises:
      ImageError: The format is unknown or cannot hold such a picture.
    """
    channels = _count_channels(image)
    if choose_format(channels, format) != format:
        raise ImageError(f'format: expected png for a grey picture, got {format}')
    if format == 'webp':
        return encode_webp(image, _WEBP_QUALITY, icc_profile)
    if format == 'jpg':
        return encode_jpeg(image, _JPEG_QUALITY, icc_profile, small=False)
    return encode_png(image, icc_profile)


def encode_png(
    image: np.ndarray, icc_profile: bytes | None = None, compress_level: int | None = None
) -> bytes:
    """Encodes a picture as PNG.

    Args:
      image: uint8 [H, W] grey, [H, W, 3] RGB or [H, W, 4] RGBA.
      icc_profile: The colour profile of the pixels, or None for sRGB.
      compress_level: From 0 to 9, the smallest and slowest, as in Pillow; by default the fastest
        way, which takes a tenth of the time of level 3 for about the same size.

    Returns:
      The bytes of the file.

    Raises:
      ImageError: The array has another type or shape.
    """
    channels = _count_channels(image)
    if compress_level is not None:
        return _save(image, 'PNG', icc_profile, compress_level=compress_level)
    height, width = image.shape[:2]
    rows = image.reshape(height, -1)
    filtered = np.empty((height, rows.shape[1] + 1), np.uint8)
    filtered[:, 0] = _UP
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    header = struct.pack('>2I5B', width, height, 8, _PNG_COLOUR_TYPES[channels], 0, 0, 0)
    profile = _chunk(b'iCCP', b'ICC\0\0' + _deflate(icc_profile)) if icc_profile else b''
    return b''.join(
        (
            b'\x89PNG\r\n\x1a\n',
            _chunk(b'IHDR', header),
            profile,
            _chunk(b'IDAT', _deflate(filtered, _FASTEST)),
            _chunk(b'IEND', b''),
        )
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(content, zlib.crc32(name))
    return b''.join((struct.pack('>I', len(content)), name, content, struct.pack('>I', checksum)))


def encode_webp(image: np.ndarray, quality: int, icc_profile: bytes | None = None) -> bytes:
    """Encodes a picture as lossy WebP; alpha stays exact, but not the colours where it is 0.

    Args:
      image: uint8 [H, W, 3] RGB or [H, W, 4] RGBA.
      quality: From 1 to 100, the best.
      icc_profile: The colour profile of the pixels, or None for sRGB.

    Returns:
      The bytes of the file.

    Raises:
      ImageError: The array has another type or shape, or more pixels a side than WebP can hold.
    """
    _count_channels(image)
    height, width = image.shape[:2]
    if max(height, width) > _LARGEST_WEBP:
        raise ImageError(
            f'webp: expected at most {_LARGEST_WEBP} pixels a side, got {width}x{height}'
        )
    return _save(image, 'WEBP', icc_profile, quality=quality, method=2)


def encode_jpeg(
    image: np.ndarray, quality: int, icc_profile: bytes | None = None, *, small: bool = True
) -> bytes:
    """Encodes a picture as JPEG.

    Args:
      image: uint8 [H, W, 3] RGB.
      quality: From 1 to 100, the best.
      icc_profile: The colour profile of the pixels, or None for sRGB.
      small: Whether colours have half the resolution, and the codes are made for this picture,
        which takes twice the time.

    Returns:
      The bytes of the file.

    Raises:
      ImageError: The array has another type or shape.
    """
    if (channels := _count_channels(image)) == 4:
        raise ImageError(f'image: JPEG has no transparency; expected RGB, got {channels} channels')
    sampling = '4:2:0' if small else '4:4:4'
    options = {'quality': quality, 'optimize': small, 'subsampling': sampling}
    return _save(image, 'JPEG', icc_profile, **options)


def _save(image: np.ndarray, format: str, icc_profile: bytes | None, **options: Any) -> bytes:
    buffer = io.BytesIO()
    if icc_profile:
        options['icc_profile'] = icc_profile
    Image.fromarray(image).save(buffer, format, **options)
    return buffer.getvalue()


def _count_channels(image: np.ndarray) -> int:
    """The number of channels; raises ImageError unless the array is a picture."""
    channels = 1 if image.ndim == 2 else image.shape[-1]
    if image.dtype != np.uint8 or image.ndim not in (2, 3) or not image.size:
        raise ImageError(
            f'image: expected uint8 [H, W] or [H, W, C], got {image.dtype} {list(image.shape)}'
        )
    if channels not in _CHANNELS:
        kinds = ', '.join(f'{count} ({name})' for count, name in _CHANNELS.items())
        raise ImageError(f'image: expected a number of channels of {kinds}, got {channels}')
    return channels
