"""Pictures: damaged files of every format, and alphas in every mode with every code of values."""

import contextlib
import io
from pathlib import Path

import numpy as np
from PIL import Image

from mattingjax.data.alpha_files import TRUE_ALPHAS
from mattingjax.errors import ImageError
from mattingjax.images import encode_image, load_photo, read_size
from mattingjax.images.encoding import FORMATS as ENCODED
from mattingjax.images.icc import DISPLAY_P3, SRGB, make_profile
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import mutate_bytes

FORMATS = ('PNG', 'JPEG', 'WEBP', 'TIFF', 'BMP', 'GIF', 'AVIF', 'PPM')
_SUFFIXES = {'JPEG': 'jpg', 'TIFF': 'tif'}


def write_samples(folder: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 40, 4), dtype=np.uint8)
    whole = Image.fromarray(pixels)
    for file_format in FORMATS:
        for mode in ('RGB', 'RGBA', 'L', 'LA', 'P', '1', 'CMYK', 'I;16'):
            buffer = io.BytesIO()
            grey = np.asarray(whole.convert('L'), np.uint16) * 257
            image = Image.fromarray(grey) if mode == 'I;16' else whole.convert('RGB').convert(mode)
            try:
                image.save(buffer, file_format)
            except (OSError, KeyError, ValueError):
                continue  # that format has no such mode, or Pillow has no such format
            suffix = _SUFFIXES.get(file_format, file_format.lower())
            (folder / f'{mode.replace(";", "")}.{suffix}').write_bytes(buffer.getvalue())


def make_picture(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    if rng.integers(8) == 0:
        _write_profile(rng, folder)
        return
    files = sorted(samples.iterdir())
    file, other = (files[i] for i in rng.integers(len(files), size=2))
    content = mutate_bytes(rng, file.read_bytes(), other.read_bytes())
    suffix = (other if rng.integers(8) == 0 else file).suffix
    (folder / f'picture{suffix}').write_bytes(content)


def _write_profile(rng: np.random.Generator, folder: Path) -> None:
    """A whole picture whose colour profile is damaged."""
    profiles = [make_profile(SRGB), make_profile(DISPLAY_P3)]
    first, second = (profiles[i] or b'' for i in rng.integers(2, size=2))
    mode, suffix = (('RGB', 'png'), ('CMYK', 'jpg'), ('CMYK', 'tif'), ('L', 'png'))[rng.integers(4)]
    image = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).convert(mode)
    image.save(folder / f'picture.{suffix}', icc_profile=mutate_bytes(rng, first, second))


def use_picture(folder: Path) -> None:
    (path,) = folder.iterdir()
    size = read_size(path)
    pixels, profile = load_photo(path)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or not pixels.size:
        raise MalformedError(f'{pixels.dtype} {pixels.shape}')
    if pixels.shape[:2] != size:
        raise MalformedError(f'{pixels.shape[:2]}, where the header says {size}')
    for file_format in ENCODED:  # results keep the profile
        encode_image(pixels, file_format, profile)


# Masks in the codes that people use, and some that nobody does.
_CODES = (
    (0, 255), (0, 1), (0, 1, 2), (0, 15), (0, 1, 255), (0, 128, 255), (255,), (0,), (1,),
    (0, 65535), (0, 256), (0, 1, 65535), (0, 254), (2, 7, 11),
)  # fmt: skip


def make_alpha(rng: np.random.Generator, folder: Path, _: Path) -> None:
    """An alpha of hard or soft values, in a mode and format drawn; one in four is damaged too."""
    height, width = rng.choice([1, 2, 17, 64], size=2)
    code = np.array(_CODES[rng.integers(len(_CODES))])
    values = rng.choice(code, (height, width))
    if rng.integers(3) == 0:
        values = rng.integers(0, int(code.max()) + 1, (height, width))
    image = _as_image(rng, values)
    buffer = io.BytesIO()
    suffix = 'tif' if image.mode == 'F' or rng.integers(3) == 0 else 'png'
    image.save(buffer, {'tif': 'TIFF', 'png': 'PNG'}[suffix])
    content = buffer.getvalue()
    if rng.integers(4) == 0:
        content = mutate_bytes(rng, content)
    (folder / f'alpha.{suffix}').write_bytes(content)


def _as_image(rng: np.random.Generator, values: np.ndarray) -> Image.Image:
    low = np.minimum(values, 255).astype(np.uint8)
    opaque = np.full_like(low, 255)
    modes = [
        lambda: Image.fromarray(low),
        lambda: Image.fromarray(values.astype(np.uint16)),
        lambda: Image.fromarray(np.stack([low, low, low], -1)),
        lambda: Image.fromarray(np.stack([low, low, low, low], -1)),
        lambda: Image.fromarray(np.stack([low, low, low, opaque], -1)),
        lambda: Image.fromarray(np.stack([opaque, opaque, opaque, low], -1)),
        lambda: Image.fromarray(np.stack([0 * low, 0 * low, 0 * low, low], -1)),
        lambda: Image.fromarray(np.stack([low, opaque - low, low], -1)),
        lambda: Image.fromarray(low).convert('1'),
        lambda: _palette(low, rng),
        lambda: Image.fromarray(values.astype(np.float32) / rng.choice([1, 255, 65535])),
        lambda: Image.fromarray(np.where(values > 0, np.float32(np.nan), np.float32(0))),
    ]
    return modes[rng.integers(len(modes))]()


def _palette(indices: np.ndarray, rng: np.random.Generator) -> Image.Image:
    image = Image.fromarray(indices % 4, 'P')
    grey = [0, 85, 170, 255] if rng.integers(2) else [0, 0, 1, 1]
    image.putpalette([value for value in grey for _ in range(3)])
    return image


def use_alpha(folder: Path) -> None:
    (path,) = folder.iterdir()
    check_alpha(TRUE_ALPHAS.load(path), read_size(path))
    with contextlib.suppress(ImageError):  # most are opaque
        colours, alpha = TRUE_ALPHAS.load_cutout(path)
        check_alpha(alpha, colours.shape[:2])


def check_alpha(alpha: np.ndarray, size: tuple[int, ...]) -> None:
    """Raises MalformedError unless it is a float32 alpha of that size in [0, 1]."""
    if alpha.dtype != np.float32 or alpha.shape != tuple(size):
        raise MalformedError(f'{alpha.dtype} {alpha.shape}, expected float32 {size}')
    if not (np.isfinite(alpha).all() and alpha.min() >= 0 and alpha.max() <= 1):
        raise MalformedError(f'values from {alpha.min()} to {alpha.max()}')
