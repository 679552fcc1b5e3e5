"""Colour profiles: from the colours of a photo to sRGB, which networks and composites need."""

from __future__ import annotations

import functools
import io
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageCms

from mattingjax.images.decoding import Source, load_photo

_ROWS = 64  # of a strip: small enough for a processor's cache
_THREADS = min(4, os.cpu_count() or 1)
_SAME = 1  # levels of 255 by which colours may change under a profile that is taken for sRGB


def load_srgb(source: Source) -> np.ndarray:
    """Decodes a photo as `load_photo` does, and converts it to the colours that a network sees.

    Args:
      source: A file's path, the bytes of a file, an open file, a PIL image, or an array, which has
        no profile.

    Returns:
      uint8 [H, W, 3] sRGB in [0, 255].

    Raises:
      ImageError: The source is missing, damaged, too large or no picture.
    """
    return to_srgb(*load_photo(source))


def to_srgb(pixels: np.ndarray, icc_profile: bytes | None) -> np.ndarray:
    """Converts colours to sRGB: relative colorimetric, black to black, clipped to sRGB's gamut.

    It costs nothing where there is nothing to do: without a profile, with one that is sRGB or
    nearly so, and with a broken one, which counts as none.

    Args:
      pixels: RGB in [0, 255], [H, W, 3], uint8 or float32.
      icc_profile: The colour profile of the pixels, or None for sRGB.

    Returns:
      [H, W, 3] of the same type, rounded to integers; or `pixels` itself if nothing is to be done.
    """
    transform = _create_transform(icc_profile) if icc_profile else None
    if transform is None:
        return pixels
    if pixels.dtype != np.uint8:
        rounded = np.round(np.clip(pixels, 0, 255)).astype(np.uint8)
        return to_srgb(rounded, icc_profile).astype(pixels.dtype)
    converted = np.empty_like(pixels)

    def convert(top: int) -> None:
        strip = slice(top, top + _ROWS)
        converted[strip] = _apply(transform, pixels[strip])

    with ThreadPoolExecutor(_THREADS) as pool:
        list(pool.map(convert, range(0, len(pixels), _ROWS)))
    return converted


def _apply(transform: ImageCms.ImageCmsTransform, pixels: np.ndarray) -> np.ndarray:
    return np.asarray(transform.apply(Image.fromarray(pixels)))


def usable_profile(icc_profile: bytes | None) -> bytes | None:
    """The profile itself, or None if it is broken or not of RGB: results should not have it."""
    return icc_profile if icc_profile and _build(icc_profile) is not None else None


@functools.lru_cache(maxsize=8)
def _create_transform(icc_profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB, or None if it changes nothing or the profile is broken."""
    transform = _build(icc_profile)
    if transform is None:
        return None
    # Profiles say in many ways that they are sRGB; what counts is what they do to colours.
    levels = np.arange(0, 256, 15).astype(np.uint8)
    colours = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 1, 3)
    change = _apply(transform, colours).astype(int) - colours
    return transform if np.abs(change).max() > _SAME else None


@functools.lru_cache(maxsize=8)
def _build(icc_profile: bytes) -> ImageCms.ImageCmsTransform | None:
    """The transform to sRGB, or None if the profile is broken or not of RGB."""
    try:
        return ImageCms.buildTransform(
            ImageCms.ImageCmsProfile(io.BytesIO(icc_profile)),
            ImageCms.createProfile('sRGB'),
            'RGB',
            'RGB',
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError):
        return None
