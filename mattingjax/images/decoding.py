"""Decodes photos of every common format, and converts arrays and PIL images, to RGB."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

import numpy as np
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from mattingjax.errors import ImageError, TooLargeError, UnknownFormatError
from mattingjax.images.bombs import disarmed
from mattingjax.images.heic import is_heic, open_heic, read_profile
from mattingjax.images.pixels import check_image, grey_to_uint8

_ORIENTATION = 0x0112  # the EXIF tag
_VIDEOS = ('.mp4', '.mov', '.mkv', '.webm', '.avi', '.m4v')  # what is most often mistaken
SIXTEEN_BIT = ('I;16', 'I;16L', 'I;16B', 'I;16N')  # Pillow's modes of 16-bit grey


class Array(Protocol):
    """Anything that NumPy can convert to an array, of whatever library."""

    def __array__(self) -> np.ndarray: ...


Source = str | os.PathLike | bytes | bytearray | memoryview | BinaryIO | Image.Image | Array


class Photo(NamedTuple):
    """A decoded photo.

    Attributes:
      pixels: uint8 [H, W, 3] RGB, upright.
      icc_profile: The colour profile of the pixels, or None for sRGB.
    """

    pixels: np.ndarray
    icc_profile: bytes | None = None


def load_image(source: Source) -> np.ndarray:
    """Decodes a photo as `load_photo` does, and returns its pixels alone.

    Args:
      source: A file's path, the bytes of a file, an open file, a PIL image, or an array.

    Returns:
      uint8 [H, W, 3] RGB in [0, 255].

    Raises:
      ImageError: The source is missing, damaged, too large or no picture.
    """
    return load_photo(source).pixels


def as_image(image: Source, name: str = 'image') -> np.ndarray:
    """Decodes the image that a function got as an argument.

    Args:
      image: uint8 [H, W, 3], or anything else that `load_photo` takes.
      name: The name of the argument, for error messages about an image without a path.

    Returns:
      uint8 [H, W, 3] RGB in [0, 255]; such a NumPy array is returned itself, not copied.

    Raises:
      ImageError: The image is missing, damaged, too large or no picture.
    """
    return load_photo(image, name).pixels


def load_photo(source: Source, name: str = '') -> Photo:
    """Decodes a photo and turns it upright.

    Grey, palette, 1-bit, 16-bit and CMYK pictures become 8-bit RGB, a transparent picture is put
    on white, and of several frames the first is taken. An RGB photo is not converted to another
    colour space: its profile is returned, so that results can keep it.

    Args:
      source: A file's path; the bytes of a file; a file opened for reading bytes; a PIL image; or
        an array that NumPy can convert (of JAX, or a PyTorch tensor on the CPU): uint8 in [0, 255],
        RGB [H, W, 3], grey [H, W] or [H, W, 1], or with transparency as the last of 2 or 4
        channels.
      name: The name of the argument, for error messages about a photo without a path.

    Raises:
      UnknownFormatError: The source is no picture.
      TooLargeError: It has more pixels than are decoded.
      ImageError: It is missing or damaged, or an array of another type or shape.
    """
    if hasattr(source, '__array__') and not isinstance(source, Image.Image):
        return Photo(_array_to_rgb(source, name or 'array'))
    image, where = open_picture(source, name)
    with _decoding_errors(where):
        return _to_rgb(image, where)


def open_picture(source: Source, name: str = '') -> tuple[Image.Image, str]:
    """Decodes a picture and turns it upright, without converting its colours or their depth.

    A colour that the file declares transparent is transparent in every mode. Pillow alone misses
    it in grey pictures of 2, 4 and 16 bits; those of 16 bits with such a colour become mode 'LA'.

    Args:
      source: What `load_photo` takes, except an array.
      name: The name of the argument, for error messages about a picture without a path.

    Returns:
      The picture, and its path or name for error messages.

    Raises:
      ImageError: The source is missing, damaged, too large or no picture.
    """
    file, where = _describe(source, name)
    if isinstance(file, Image.Image):
        with _decoding_errors(where):
            file.load()
            return _upright(file), where
    with _decoding_errors(where), _open(file, where) as image:
        # This holds the file's bit depth; after loading only Pillow's mode is known.
        raw_mode = str(image.tile[0].args) if image.tile else ''
        image.load()
        return _upright(_apply_transparent_colour(image, raw_mode)), where


def _describe(source: Source, name: str) -> tuple[Any, str]:
    """Returns what Pillow can open, and its path or name for error messages."""
    if isinstance(source, str | os.PathLike):
        path = os.fsdecode(source)
        if '\0' in path:
            raise ImageError(f'{path}: no such file')
        if os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path):
            # Opening a pipe might never end.
            raise ImageError(f'{path}: expected a file, found a device or a pipe')
        return path, path
    if isinstance(source, bytes | bytearray | memoryview):
        return io.BytesIO(source), name or 'bytes'
    if isinstance(source, Image.Image):
        return source, name or 'PIL image'
    if hasattr(source, 'read'):
        called = getattr(source, 'name', None)
        where = called if isinstance(called, str) else name or 'file'
        if isinstance(source, io.TextIOBase):
            raise ImageError(f'{where}: expected a file opened for bytes, found one for text')
        return source, where
    raise ImageError(
        f'{name or "source"}: expected a path, bytes, an open file, a PIL image or a uint8 array '
        f'[H, W, 3], got {type(source).__name__}'
    )


def _open(file: Any, where: str) -> ImageFile.ImageFile:
    if not isinstance(file, str):
        try:
            file.seek(0)
        except (AttributeError, io.UnsupportedOperation):  # a pipe can be read only once
            file = io.BytesIO(file.read())
    try:
        image = Image.open(file, formats=_formats())
    except UnidentifiedImageError:
        if not is_heic(file):
            raise
        return open_heic(file, where)
    return disarmed(image, where)


def _upright(image: Image.Image) -> Image.Image:
    with _ignoring_broken_exif():
        return ImageOps.exif_transpose(image)
    return image


def _apply_transparent_colour(image: Image.Image, raw_mode: str) -> Image.Image:
    """Repairs the transparent colour, whose bit depth may differ from that of Pillow's pixels."""
    colour = image.info.get('transparency')
    if raw_mode in ('L;2', 'L;4') and isinstance(colour, int):
        image.info['transparency'] = colour * 255 // (2 ** int(raw_mode[-1]) - 1)
    elif raw_mode == 'RGB;16B' and isinstance(colour, tuple):
        # Pillow keeps only the upper 8 of 16 bits, so only they can be compared.
        image.info['transparency'] = tuple(value >> 8 for value in colour)
    elif image.mode in SIXTEEN_BIT and isinstance(colour, int):
        del image.info['transparency']
        values = np.asarray(image)
        if (values == colour).any():
            opaque = np.where(values == colour, 0, 255).astype(np.uint8)
            grey = Image.fromarray(np.dstack([grey_to_uint8(image, ''), opaque]))
            grey.info |= image.info
            return grey
    return image


def read_size(source: Path | str | bytes, name: str = '') -> tuple[int, int]:
    """Reads the height and width, in pixels, that a photo will have when decoded, from its header.

    Args:
      source: The path of a picture file, or its bytes.
      name: The name of the argument, for error messages about bytes.

    Raises:
      UnknownFormatError: It is no picture.
      TooLargeError: It has more pixels than are ever decoded.
      ImageError: The file is missing or damaged.
    """
    file, where = _describe(source, name)
    with _decoding_errors(where), _open(file, where) as image:
        width, height = image.size
        with _ignoring_broken_exif():
            # Pillow gives a TIFF file's size upright already.
            if image.format != 'TIFF' and image.getexif().get(_ORIENTATION) in (5, 6, 7, 8):
                width, height = height, width
        return height, width


@functools.cache
def _formats() -> tuple[str, ...]:
    """Pillow's formats that may be read; others, such as EPS, would run programs."""
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
            # Pillow warns of decompression bombs above 89 megapixels and refuses pictures above
            # 179. Cameras of 108 megapixels exist, so the warning is silenced.
            warnings.simplefilter('ignore')
            yield
    except ImageError:
        raise
    except UnidentifiedImageError as error:
        hint = '; mattingjax video takes videos' if where.lower().endswith(_VIDEOS) else ''
        raise UnknownFormatError(f'{where}: not a picture in a known format{hint}') from error
    except Image.DecompressionBombError as error:
        raise TooLargeError(f'{where}: too large to decode ({error})') from error
    except FileNotFoundError as error:
        raise ImageError(f'{where}: no such file') from error
    except OSError as error:
        raise ImageError(f'{where}: cannot be read ({error.strerror or error})') from error
    except Exception as error:  # decoders raise all kinds of errors on damaged files
        raise ImageError(f'{where}: damaged picture ({type(error).__name__}: {error})') from error


def _to_rgb(image: Image.Image, where: str) -> Photo:
    profile = read_profile(image.info)
    if image.mode in SIXTEEN_BIT or image.mode in ('I', 'F'):
        return Photo(np.repeat(grey_to_uint8(image, where)[..., None], 3, axis=-1))
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
    keeps_profile = image.mode in ('RGB', 'RGBA', 'RGBX', 'P', 'PA')
    return Photo(np.asarray(image.convert('RGB')), profile if keeps_profile else None)


def _array_to_rgb(source: Any, name: str) -> np.ndarray:
    try:
        pixels = np.asarray(source)
    except Exception as error:  # other libraries raise errors of their own
        raise ImageError(
            f'{name}: cannot be made a NumPy array ({type(error).__name__}: {error})'
        ) from error
    if pixels.dtype == np.uint8 and pixels.size:
        if pixels.ndim == 2:
            pixels = pixels[..., None]
        if pixels.ndim == 3 and pixels.shape[-1] == 1:
            pixels = np.repeat(pixels, 3, axis=-1)
        if pixels.ndim == 3 and pixels.shape[-1] in (2, 4):
            pixels = _to_rgb(Image.fromarray(pixels), name).pixels
    check_image(pixels, name)
    return pixels
