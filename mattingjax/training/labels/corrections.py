"""A teacher's matte corrected by a mask, and how doubtful the result is."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

# A mask is not trusted within this distance of its edge, as a share of the shorter side.
_SEAM = 0.015
_LEAST_PERSON = 0.002  # area of a person in a matte without a mask, as a share of the photo's


class Label(NamedTuple):
    """An alpha, and how doubtful it is.

    Attributes:
      alpha: float32 [H, W] in [0, 1].
      doubt: The area where mask and matte disagree or, without a mask, where the matte is grey, as
        a share of the person's area, at least 0. It is 1 if a matte without a mask is almost empty:
        nobody is there, or the teacher overlooked them.
    """

    alpha: np.ndarray
    doubt: float


def merge(matte: np.ndarray, mask: np.ndarray | None) -> Label:
    """Replaces a teacher's matte by the mask where the two clearly contradict each other.

    They do where, away from the mask's edge, the matte is nearer to the opposite value. The
    replaced area gets a soft border, so that hair and edges remain those of the matte.

    Args:
      matte: float32 [H, W] in [0, 1].
      mask: float32 [H, W] in [0, 1], 1 on the person; None if there is none.
    """
    if mask is None:
        if matte.mean() < _LEAST_PERSON:
            return Label(matte, 1.0)
        return Label(matte, _share(4 * matte * (1 - matte), matte))
    seam = max(2, round(_SEAM * min(matte.shape)))
    inside = cv2.erode(mask, _disc(seam)) > 0.5
    outside = cv2.dilate(mask, _disc(seam)) < 0.5
    wrong = ((inside & (matte < 0.5)) | (outside & (matte > 0.5))).astype(np.float32)
    weight = cv2.GaussianBlur(cv2.dilate(wrong, _disc(seam)), (0, 0), seam / 2)
    alpha = matte + weight * (mask - matte)
    return Label(np.clip(alpha, 0, 1), _share(wrong, mask))


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))


def _share(area: np.ndarray, person: np.ndarray) -> float:
    return float(area.sum() / max(1.0, person.sum()))
