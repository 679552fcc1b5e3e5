"""Frames made by the formulas of the standards, without FFmpeg's conversions."""

import av
import numpy as np

BLOCK = 8  # pixels a side: chroma of half the size shows its own value in the middle
# Kr and Kb of BT.709, FCC 73.682, BT.601 (two numbers), SMPTE 240M and BT.2020, by H.273's numbers
COEFFICIENTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}
LIMITED, FULL = 1, 2


def to_yuv(rgb, matrix, colour_range, bits=8):
    """RGB [..., 3] in [0, 1] to integers Y, U, V [..., 3]."""
    red, blue = COEFFICIENTS[matrix]
    weights = np.array([red, 1 - red - blue, blue])
    y = rgb @ weights
    u = (rgb[..., 2] - y) / (2 * (1 - blue))
    v = (rgb[..., 0] - y) / (2 * (1 - red))
    one = 2 ** (bits - 8)
    if colour_range == FULL:
        top = 2**bits - 1
        numbers = [y * top, u * top + 128 * one, v * top + 128 * one]
    else:
        numbers = [(16 + 219 * y) * one, (128 + 224 * u) * one, (128 + 224 * v) * one]
    return np.clip(np.round(np.stack(numbers, -1)), 0, 2**bits - 1)


def to_rgb(yuv, matrix, colour_range, bits=8):
    """The inverse of `to_yuv`."""
    red, blue = COEFFICIENTS[matrix]
    one = 2 ** (bits - 8)
    if colour_range == FULL:
        y, u, v = np.moveaxis((yuv - [0, 128 * one, 128 * one]) / (2**bits - 1), -1, 0)
    else:
        y, u, v = np.moveaxis((yuv / one - [16, 128, 128]) / [219, 224, 224], -1, 0)
    r, b = y + 2 * (1 - red) * v, y + 2 * (1 - blue) * u
    return np.stack([r, (y - red * r - blue * b) / (1 - red - blue), b], -1)


def create_frame(yuv, pixel_format, matrix=2, colour_range=0):
    """A frame of blocks of BLOCK pixels a side, each of one colour: integers [H, W, 3]."""
    height, width = (BLOCK * side for side in yuv.shape[:2])
    frame = av.VideoFrame(width, height, pixel_format)
    frame.colorspace, frame.color_range = matrix, colour_range
    wide = np.kron(yuv, np.ones((BLOCK, BLOCK, 1), int))
    planes = [wide[..., 0], wide[..., 1], wide[..., 2]]
    if pixel_format == 'nv12':
        planes[1:] = [np.stack([wide[::2, ::2, 1], wide[::2, ::2, 2]], -1).reshape(height // 2, -1)]
    for plane, values in zip(frame.planes, planes, strict=True):
        if pixel_format != 'nv12':
            values = values[:: height // plane.height, :: width // plane.width]
        write_plane(plane, values, np.uint16 if 'le' in pixel_format else np.uint8)
    return frame


def write_plane(plane, values, kind=np.uint8):
    """Writes numbers [height, width] into a plane; its rows may be longer."""
    np.frombuffer(plane, kind).reshape(plane.height, -1)[:, : values.shape[1]] = values


def block_centres(pixels):
    """The colours in the middle of each block: [H, W, 3]."""
    return pixels[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK].astype(float)
