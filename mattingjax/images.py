"""Photos in, pictures out: every common format to RGB, and files written whole or not at all."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from mattingjax.errors import ImageError

EXTENSIONS = frozenset(
    [
        '.jpg',
        '.jpeg',
        '.jpe',
        '.jfif',
        '.png',
        '.webp',
        '.tif',
        '.tiff',
        '.bmp',
        '.gif',
        '.avif',
        '.ppm',
    ]
)
_ORIENTATION = 0x0112  # the EXIF tag
_SIXTEEN_BIT = ('I;16', 'I;16L', 'I;16B', 'I;16N')


class Photo(NamedTuple):
    """A decoded photo.

    Attributes:
      pixels: uint8 [H, W, 3] RGB, upright.
      icc_profile: The colour profile that the numbers are in, or None for sRGB.
    """

    pixels: np.ndarray
    icc_profile: bytes | None = None


def load_image(source: Path | str | bytes) -> np.ndarray:
    """Decodes a photo; see `load_photo`.

    Args:
      source: A file's path, or the bytes of one.

    Returns:
      uint8 [H, W, 3] RGB in [0, 255].

    Raises:
      ImageError: The file is missing, damaged, too large or no picture.
    """
    return load_photo(source).pixels


def load_photo(source: Path | str | bytes) -> Photo:
    """Decodes a photo and brings it upright.

    Grey, palette, 1-bit, 16-bit and CMYK pictures become 8-bit RGB; a transparent picture is put
    on white; of several frames the first counts. An RGB photo's pixels are not converted between
    colour spaces: its profile comes along, for what is made of it.

    Args:
      source: A file's path, or the bytes of one.

    Raises:
      ImageError: The file is missing, damaged, too large or no picture.
    """
    where = 'standard input' if isinstance(source, bytes) else str(source)
    file = io.BytesIO(source) if isinstance(source, bytes) else source
    with _decoding_errors(where), Image.open(file, formats=_formats()) as image:
        image.load()
        upright: Image.Image = image
        with _ignoring_broken_exif():
            upright = ImageOps.exif_transpose(image)
        return _to_rgb(upright, where)


def read_size(path: Path | str) -> tuple[int, int]:
    """Height and width in pixels of a photo as it will be decoded, from its header alone.

    Raises:
      ImageError: The file is missing, damaged or no picture.
    """
    with _decoding_errors(str(path)), Image.open(path, formats=_formats()) as image:
        width, height = image.size
        with _ignoring_broken_exif():
            # Pillow gives a TIFF file's size upright already.
            if image.format != 'TIFF' and image.getexif().get(_ORIENTATION) in (5, 6, 7, 8):
                width, height = height, width
        return height, width


@functools.cache
def _formats() -> tuple[str, ...]:
    """Pillow's readers that may be asked; others, such as EPS, would run programs."""
    Image.init()
    wanted = ('JPEG', 'PNG', 'WEBP', 'TIFF', 'BMP', 'GIF', 'AVIF', 'PPM')
    return tuple(name for name in wanted if name in Image.OPEN)


def _ignoring_broken_exif() -> contextlib.AbstractContextManager:
    # A broken EXIF block costs the orientation, not the photo.
    return contextlib.suppress(SyntaxError, ValueError, KeyError, TypeError, OSError)


@contextlib.contextmanager
def _decoding_errors(where: str) -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            # Pillow warns of a decompression bomb from 89 Mpixel on and refuses from 179 on; photos
            # of 108 Mpixel exist, so only the second is kept.
            warnings.simplefilter('ignore')
            yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        raise ImageError(f'{where}: not a picture in a known format') from error
    except Image.DecompressionBombError as error:
        raise ImageError(f'{where}: too large to decode ({error})') from error
    except FileNotFoundError as error:
        raise ImageError(f'{where}: no such file') from error
    except OSError as error:
        raise ImageError(f'{where}: cannot be read ({error.strerror or error})') from error
    except Exception as error:  # decoders of damaged files raise anything
        raise ImageError(f'{where}: damaged picture ({type(error).__name__}: {error})') from error


def _to_rgb(image: Image.Image, where: str) -> Photo:
    profile = image.info.get('icc_profile')
    if image.mode in _SIXTEEN_BIT or image.mode in ('I', 'F'):
        return Photo(np.repeat(_grey_to_uint8(image, where)[..., None], 3, axis=-1))
    if image.mode in ('CMYK', 'LAB') and profile:
        with contextlib.suppress(ImageCms.PyCMSError, OSError):
            srgb = ImageCms.createProfile('sRGB')
            embedded = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, embedded, srgb, outputMode='RGB')
            return Photo(np.asarray(converted))
    if image.has_transparency_data:
        image = image.convert('RGBA')
        white = Image.new('RGBA', image.size, 'white')
        image = Image.alpha_composite(white, image)
    keeps_profile = image.mode in ('RGB', 'RGBA', 'RGBX')
    return Photo(np.asarray(image.convert('RGB')), profile if keeps_profile else None)


def _grey_to_uint8(image: Image.Image, where: str) -> np.ndarray:
    values = np.asarray(image).astype(np.float64)
    low, high = values.min(), values.max()
    if image.mode == 'F':
        top, what = 1.0, 'floating-point values in [0, 1]'
    else:
        top, what = 65535.0, '16-bit values in [0, 65535]'
    if not (low >= 0 and high <= top):
        raise ImageError(f'{where}: expected {what}, found {low:g} to {high:g}')
    return np.round(values * (255 / top)).astype(np.uint8)


def resize(
    image: np.ndarray, height: int, width: int, enlarge: int = cv2.INTER_CUBIC
) -> np.ndarray:
    """Resizes: the mean over each new pixel's area to shrink, cubic to enlarge.

    Args:
      image: [H, W] or [H, W, C], float32 or uint8.
      height: New height in pixels.
      width: New width in pixels.
      enlarge: OpenCV's interpolation where a side grows; cubic may overshoot the input's range.

    Returns:
      [height, width] or [height, width, C], of the same type.
    """
    if image.shape[:2] == (height, width):
        return image
    smaller = min(height, image.shape[0]), min(width, image.shape[1])
    if smaller != image.shape[:2]:
        image = cv2.resize(image, smaller[::-1], interpolation=cv2.INTER_AREA)
    if smaller != (height, width):
        image = cv2.resize(image, (width, height), interpolation=enlarge)
    return image


def encode_png(image: np.ndarray, icc_profile: bytes | None = None) -> bytes:
    """A uint8 picture, [H, W], [H, W, 3] or [H, W, 4], as the bytes of a PNG file."""
    buffer = io.BytesIO()
    options = {'icc_profile': icc_profile} if icc_profile else {}
    Image.fromarray(image).save(buffer, 'PNG', compress_level=3, **options)
    return buffer.getvalue()


def check_image(image: object, name: str = 'image') -> None:
    """Raises ImageError unless `image` is a uint8 array [H, W, 3]."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        found = getattr(image, 'dtype', type(image).__name__)
        raise ImageError(f'{name}: expected a uint8 array, got {found}')
    if image.ndim != 3 or image.shape[-1] != 3:
        raise ImageError(f'{name}: expected shape [H, W, 3], got {list(image.shape)}')


def check_alpha(alpha: object, image: np.ndarray) -> None:
    """Raises ImageError unless `alpha` is a floating-point array of the image's size."""
    if not isinstance(alpha, np.ndarray) or not np.issubdtype(alpha.dtype, np.floating):
        found = getattr(alpha, 'dtype', type(alpha).__name__)
        raise ImageError(f'alpha: expected floating-point values in [0, 1], got {found}')
    if alpha.shape != image.shape[:2]:
        raise ImageError(
            f"alpha: expected the image's shape {list(image.shape[:2])}, got {list(alpha.shape)}"
        )


def find_images(folder: Path, leave_out: Path | None = None) -> list[Path]:
    """The pictures in a folder and below it, sorted; hidden files and folders are passed over.

    Args:
      folder: Where to look.
      leave_out: A folder that is not entered (where the results go, say).

    Raises:
      ImageError: A folder cannot be read; it is named.
    """

    def stop(error: OSError) -> None:
        raise ImageError(f'{error.filename}: cannot be read ({error.strerror})') from error

    found = []
    skipped = leave_out.resolve() if leave_out else None
    for root, folders, files in os.walk(folder, onerror=stop):
        folders[:] = [
            name
            for name in folders
            if not name.startswith('.') and Path(root, name).resolve() != skipped
        ]
        found += [
            Path(root, name)
            for name in files
            if not name.startswith('.')
            and Path(name).suffix.lower() in EXTENSIONS
            and Path(root, name).is_file()
        ]
    return sorted(found)
