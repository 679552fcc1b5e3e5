"""Photos with their alphas: from a dataset's folders, or composed of cut-outs and backgrounds."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from mattingjax.compositing import Background, composite
from mattingjax.errors import ImageError
from mattingjax.images import find_images, load_image


class Sample(NamedTuple):
    """A photo with its alpha, not yet loaded.

    Attributes:
      name: Its name in the index.
      sources: The files it is made of: what each is → its path.
      load: Gives the photo, uint8 [H, W, 3] RGB, and the alpha, float32 [H, W] in [0, 1]; raises
        ImageError where a file is damaged or the two do not fit together.
    """

    name: str
    sources: dict[str, Path]
    load: Callable[[], tuple[np.ndarray, np.ndarray]]


def pair_photos(images: Path, alphas: Path, leave_out: Path | None = None) -> list[Sample]:
    """Photos and alphas of the same names, extensions aside; sorted by name.

    Args:
      images: Folder of the photos, searched recursively.
      alphas: Folder of their alphas, grey pictures of the photos' sizes.
      leave_out: A folder that is not entered (where the results go).

    Raises:
      ImageError: A folder cannot be read or holds no picture, two pictures share a name, or one has
        no counterpart.
    """
    photos, mattes = (_find_by_name(folder, leave_out) for folder in (images, alphas))
    if lonely := sorted(set(photos) - set(mattes)):
        raise ImageError(f'{alphas}: holds no alpha for {list_some(photos[n] for n in lonely)}')
    if lonely := sorted(set(mattes) - set(photos)):
        raise ImageError(f'{images}: holds no photo for {list_some(mattes[n] for n in lonely)}')

    return [
        Sample(
            name,
            {'image': photos[name], 'alpha': mattes[name]},
            functools.partial(_load_pair, photos[name], mattes[name]),
        )
        for name in sorted(photos)
    ]


def compose_photos(
    foregrounds: Path, backgrounds: Path, seed: int, leave_out: Path | None = None
) -> list[Sample]:
    """Cut-outs, each on a background; the alpha is the cut-out's own.

    The backgrounds, sorted and then shuffled, are dealt out in turn to the cut-outs, sorted by
    name: as many of one as of another, and the same ones on every machine. A background is cropped
    about its centre and resized to the cut-out's size.

    Args:
      foregrounds: Folder of transparent pictures, searched recursively.
      backgrounds: Folder of pictures.
      seed: Of the shuffling.
      leave_out: A folder that is not entered (where the results go).

    Raises:
      ImageError: A folder cannot be read or holds no picture, or two cut-outs share a name.
    """
    cutouts = _find_by_name(foregrounds, leave_out)
    behind = find_images(backgrounds, leave_out)
    if not behind:
        raise ImageError(f'{backgrounds}: holds no picture')
    order = np.random.default_rng(seed).permutation(len(behind))

    samples = []
    for i, name in enumerate(sorted(cutouts)):
        cutout, background = cutouts[name], behind[order[i % len(behind)]]
        files = {'foreground': cutout, 'background': background}
        samples.append(Sample(name, files, functools.partial(_compose, cutout, background)))
    return samples


def load_alpha(path: Path) -> np.ndarray:
    """A grey picture as float32 [H, W] in [0, 1]; raises ImageError if it has colours."""
    pixels = load_image(path)
    if (pixels != pixels[..., :1]).any():
        raise ImageError(f'{path}: expected an alpha (a grey picture), found colours')
    return pixels[..., 0].astype(np.float32) / 255


def load_cutout(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The colours, uint8 [H, W, 3], and alpha, float32 [H, W] in [0, 1], of a transparent picture.

    Raises:
      ImageError: The file is missing, damaged or has no transparency.
    """
    load_image(path)  # for its errors: what it can decode, Pillow can decode again
    with Image.open(path) as image:
        if not image.has_transparency_data:
            raise ImageError(f'{path}: expected a transparent picture, found an opaque one')
        rgba = np.asarray(ImageOps.exif_transpose(image.convert('RGBA')))
    return rgba[..., :3], rgba[..., 3].astype(np.float32) / 255


def list_some(items: Iterable[object], limit: int = 3) -> str:
    """The first few of many, for a message of one line."""
    names = [str(item) for item in items]
    more = f' and {len(names) - limit} more' if len(names) > limit else ''
    return ', '.join(names[:limit]) + more


def _load_pair(photo: Path, matte: Path) -> tuple[np.ndarray, np.ndarray]:
    image, alpha = load_image(photo), load_alpha(matte)
    if alpha.shape != image.shape[:2]:
        raise ImageError(
            f'{matte}: expected the size of {photo}, {_format_size(image)}, got '
            f'{_format_size(alpha)}'
        )
    return image, alpha


def _compose(cutout: Path, background: Path) -> tuple[np.ndarray, np.ndarray]:
    foreground, alpha = load_cutout(cutout)
    behind = Background(str(background)).of_size(*alpha.shape)
    return composite(foreground, alpha, behind), alpha


def _find_by_name(folder: Path, leave_out: Path | None) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in find_images(folder, leave_out):
        if path.stem in found:
            raise ImageError(
                f'{path}: the name of {found[path.stem]}; expected names that differ by more than '
                'folder and extension'
            )
        found[path.stem] = path
    if not found:
        raise ImageError(f'{folder}: holds no picture')
    return found


def _format_size(image: np.ndarray) -> str:
    return f'{image.shape[1]}x{image.shape[0]}'
