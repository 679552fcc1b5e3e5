"""HEIC and HEIF photos, such as phones take, through the optional package pillow-heif."""

from __future__ import annotations

import os
from typing import Any

from PIL import Image, ImageFile, UnidentifiedImageError

from mattingjax.errors import ImageError, missing_package
from mattingjax.images.icc import SRGB, make_profile

# What stands in the first 12 bytes (ISO/IEC 23008-12, clause 10 and annex B): still pictures and
# sequences in HEVC, and the general brands, under which AVIF files may come too.
_BRANDS = (
    b'heic', b'heix', b'heim', b'heis', b'hevc', b'hevx', b'hevm', b'hevs', b'mif1', b'msf1'
)  # fmt: skip
_LIKE_SRGB = (1, 2, 6, 13, 14, 15)  # transfer curves that screens show as sRGB's, or none is told


def is_heic(file: Any) -> bool:
    """Whether a file is HEIC by its first bytes.

    Args:
      file: A path, or a file that is open for reading bytes, which is read from its beginning.
    """
    if isinstance(file, str | os.PathLike):
        with open(file, 'rb') as opened:
            return is_heic(opened)
    file.seek(0)
    start = file.read(12)
    return start[4:8] == b'ftyp' and start[8:12] in _BRANDS


def open_heic(file: Any, where: str) -> ImageFile.ImageFile:
    """Opens a HEIC picture with Pillow, for which pillow-heif is imported only here.

    The picture is upright, and its EXIF says so: turning is told by the file's own box, whatever
    EXIF says.

    Args:
      file: A path, or a file that is open for reading bytes.
      where: Its path or name for error messages.

    Raises:
      ImageError: pillow-heif is not installed, or the picture is damaged.
    """
    try:
        import pillow_heif
    except ImportError as error:
        message = missing_package(f'{where}: reading HEIC', 'pillow-heif', 'heic')
        raise ImageError(str(message)) from error
    pillow_heif.register_heif_opener()
    try:
        return Image.open(file, formats=['HEIF'])
    except UnidentifiedImageError as error:
        raise ImageError(f'{where}: damaged picture (HEIC)') from error


def read_profile(info: dict[Any, Any]) -> bytes | None:
    """The colour profile of a picture.

    HEIC files may have the numbers of ITU-T H.273 (nclx) instead of a profile. For the curves of
    pictures with high dynamic range, which need more than another colour space, there is none.

    Args:
      info: Pillow's `Image.info`.

    Returns:
      An ICC profile, or None for sRGB.
    """
    if profile := info.get('icc_profile'):
        return profile
    numbers = info.get('nclx_profile') or {}
    primaries = numbers.get('color_primaries', SRGB)
    if primaries == SRGB or numbers.get('transfer_characteristics') not in _LIKE_SRGB:
        return None
    return make_profile(primaries)
