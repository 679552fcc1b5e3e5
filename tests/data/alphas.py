"""Mattes and masks as people have them."""

import cv2
import numpy as np

from mattingjax.data.alpha_files import AlphaReader
from mattingjax.data.alpha_values import parse_alpha_values
from tests.data.pictures import SIZE

GREY = (np.arange(600) % 256).astype(np.uint8).reshape(SIZE)


def load_alpha(path, values='auto'):
    return AlphaReader(parse_alpha_values(values)).load(path)


def person() -> np.ndarray:
    """A mask of 0 and 1: a disc."""
    y, x = np.mgrid[:64, :48]
    return (np.hypot(y - 34, x - 24) < 18).astype(np.uint8)


def border() -> np.ndarray:
    """Where the disc's border is, a few pixels wide."""
    square = np.ones((5, 5), np.uint8)
    return (cv2.dilate(person(), square) - cv2.erode(person(), square)).astype(bool)


def voc_palette() -> list[int]:
    """The colours of Pascal VOC's label maps."""
    colours = np.zeros((256, 3), int)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((np.arange(256) >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours.ravel().tolist()


def soft() -> np.ndarray:
    """A matte in [0, 1] of many levels, white inside."""
    y, x = np.mgrid[:64, :48]
    return np.clip((24 - np.hypot(y - 34, x - 24)) / 15, 0, 1)
