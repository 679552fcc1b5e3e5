"""What JPEG compression does to a picture, on the device.

Only the part that loses something is computed: the conversion to luma and chroma, chroma at half
the size, and the rounding of the cosine transform's coefficients to multiples of the quantisation
tables. The rest of JPEG, the coding into bits, loses nothing. Rounding errors of coders, which
differ from library to library, are not imitated.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np

# The quantisation tables of ITU-T T.81 (the JPEG standard), annex K.1, for luma and chroma.
_LUMA = np.array([
    [16, 11, 10, 16, 24, 40, 51, 61],
    [12, 12, 14, 19, 26, 58, 60, 55],
    [14, 13, 16, 24, 40, 57, 69, 56],
    [14, 17, 22, 29, 51, 87, 80, 62],
    [18, 22, 37, 56, 68, 109, 103, 77],
    [24, 35, 55, 64, 81, 104, 113, 92],
    [49, 64, 78, 87, 103, 121, 120, 101],
    [72, 92, 95, 98, 112, 100, 103, 99],
])  # fmt: skip
_CHROMA = np.full((8, 8), 99)
_CHROMA[:4, :4] = [[17, 18, 24, 47], [18, 21, 26, 66], [24, 26, 56, 99], [47, 66, 99, 99]]
# Rec. 601, as JFIF has it: luma, and the differences of blue and of red from it.
_WEIGHTS = np.array([
    [0.299, 0.587, 0.114],
    [-0.168736, -0.331264, 0.5],
    [0.5, -0.418688, -0.081312],
])  # fmt: skip
_BLOCK = 8
_UNIT = 2 * _BLOCK  # pixels a side of what is coded at once: chroma has half the size


def compress(image: jax.Array, quality: jax.Array) -> jax.Array:
    """Compresses a picture as JPEG and decodes it again.

    Args:
      image: float32 [S, S, 3] of whole numbers in [0, 255].
      quality: The JPEG quality, an int32 scalar within 1 to 100, scaled as libjpeg does.

    Returns:
      float32 [S, S, 3] of whole numbers in [0, 255].

    References:
      ITU-T T.81 (https://www.w3.org/Graphics/JPEG/itu-t81.pdf).
    """
    size = len(image)
    padding = 0, -size % _UNIT
    padded = jnp.pad(image, (padding, padding, (0, 0)), mode='edge')
    luma, blue, red = jnp.round(
        _transform(_WEIGHTS, padded) + np.array([0.0, 128, 128]).reshape(3, 1, 1)
    )
    planes = [_code(luma, _LUMA, quality)]
    for chroma in (blue, red):
        half = chroma.reshape(len(chroma) // 2, 2, len(chroma) // 2, 2).mean((1, 3))
        planes.append(_enlarge(_code(jnp.round(half), _CHROMA, quality)) - 128)
    colours = _transform(np.linalg.inv(_WEIGHTS), jnp.stack(planes, -1))
    decoded = jnp.stack(list(colours), -1)[:size, :size]
    return jnp.round(jnp.clip(decoded, 0, 255))


def _transform(matrix: np.ndarray, image: jax.Array) -> jax.Array:
    """Multiplies each pixel of a picture [H, W, 3] by a matrix: [3, H, W]."""
    rows = matrix.astype(np.float32)
    return jnp.stack([sum(row[i] * image[..., i] for i in range(3)) for row in rows])


def _code(plane: jax.Array, table: np.ndarray, quality: jax.Array) -> jax.Array:
    """Rounds the coefficients of each block of a plane [H, W] and transforms them back."""
    scale = jnp.where(quality < 50, 5000 // quality, 200 - 2 * quality)
    steps = jnp.clip((table * scale + 50) // 100, 1, 255).astype(jnp.float32)
    count = len(plane) // _BLOCK
    blocks = (plane - 128).reshape(count, _BLOCK, count, _BLOCK)
    cosines = _cosines()
    precise = jax.lax.Precision.HIGHEST
    found = jnp.einsum('ui,vj,aibj->aubv', cosines, cosines, blocks, precision=precise)
    kept = jnp.round(found / steps[:, None]) * steps[:, None]
    back = jnp.einsum('ui,vj,aubv->aibj', cosines, cosines, kept, precision=precise)
    return jnp.round(jnp.clip(back.reshape(plane.shape) + 128, 0, 255))


def _cosines() -> np.ndarray:
    """The orthonormal cosine transform of eight values, float32 [8, 8]."""
    frequency, place = np.indices((_BLOCK, _BLOCK))
    cosines = np.cos((2 * place + 1) * frequency * math.pi / (2 * _BLOCK)) / 2
    cosines[0] /= math.sqrt(2)
    return cosines.astype(np.float32)


def _enlarge(plane: jax.Array) -> jax.Array:
    """Doubles both sides, weighing the two nearest values 3 to 1, as decoders do."""
    sides = 2 * plane.shape[0], 2 * plane.shape[1]
    return jax.image.resize(plane, sides, 'linear', precision=jax.lax.Precision.HIGHEST)
