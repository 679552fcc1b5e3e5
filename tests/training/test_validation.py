"""The figures of a validation."""

import numpy as np
import pytest

from mattingjax.errors import MattingError
from mattingjax.training.validation import check_best, measure


def test_figures_are_means_over_the_photos_that_have_them():
    mask = np.zeros((20, 24), np.float32)
    mask[:, 12:] = 1
    soft = np.full((20, 24), 0.5, np.float32)
    examples = [{'alpha': mask}, {'alpha': soft}]
    figures = measure([mask, soft + 0.25], examples)
    assert figures['mad'] == pytest.approx(0.125)
    assert figures['mse'] == pytest.approx(0.03125)
    assert figures['mad_soft'] == pytest.approx(0.25)
    assert list(measure([mask], examples[:1])) == ['mad', 'mse', 'mean_gradient']
    assert measure([mask, soft], [{'alpha': mask}, {}]) == {}


def test_masks_cannot_choose_the_best_by_the_soft_band():
    mask, soft = np.ones((20, 20), np.float32), np.full((20, 20), 0.5, np.float32)
    for examples in ([{}], [{'alpha': mask}, {'alpha': soft}]):
        check_best('mad_soft', examples)
    check_best('mad', [{'alpha': mask}])
    message = 'config.validation.best=mad_soft: none of the 1 alphas of the validation is soft'
    with pytest.raises(MattingError, match=message):
        check_best('mad_soft', [{'alpha': mask}])
