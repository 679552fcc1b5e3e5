"""Test-time augmentation: mattes of several input sizes and of the mirror image, averaged."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Predict = Callable[[np.ndarray], np.ndarray]


def average_mattes(predictors: Sequence[Predict], *, flip: bool) -> Predict:
    """Makes a function that averages several mattes of a photo, each with the same weight.

    Args:
      predictors: One or more, such as `Predictor`s of one network at several input sizes. Each
        takes uint8 [H, W, 3] and returns float32 [H, W] in [0, 1].
      flip: Whether each of them also mattes the photo's mirror image, left and right exchanged.

    Returns:
      A function that takes and returns what the predictors do.
    """

    def predict(image: np.ndarray) -> np.ndarray:
        total = np.zeros(image.shape[:2], np.float32)
        for predictor in predictors:
            total += predictor(image)
        if flip:
            mirrored = np.ascontiguousarray(image[:, ::-1])
            for predictor in predictors:
                total += predictor(mirrored)[:, ::-1]
        return total / (len(predictors) * (1 + flip))

    return predict
