import numpy as np

from mattingjax.training.labels.backgrounds import choose_background, find_strips, repeat_mirrored
from tests.training.labels.test_bystanders import street
from tests.training.labels.test_corrections import square


def test_strips_are_beside_the_person():
    alpha = square(left=50, right=90)
    image = np.where(alpha[..., None] > 0, 255, [[[1, 2, 3]]]).astype(np.uint8)
    image[:, 0] = 7
    wide, narrow = find_strips(image, alpha)
    assert (wide.shape, narrow.shape) == ((120, 50, 3), (120, 30, 3))
    assert max(wide.max(), narrow.max()) == 7
    widened = repeat_mirrored(wide, 120)
    assert widened.shape == image.shape
    np.testing.assert_array_equal(widened[:, [0, 99, 100]], 7)  # mirrored, and mirrored again
    assert find_strips(image, square(left=10, right=110)) == []
    assert find_strips(image, np.ones_like(alpha)) == []


def test_the_first_strip_without_people_is_chosen():
    crowded, empty = street(0, somebody=True), street(1, somebody=False)
    width = 2 * empty.shape[1]
    background = choose_background([crowded, empty], width)
    np.testing.assert_array_equal(background, np.concatenate([empty, empty[:, ::-1]], 1))
    assert choose_background([crowded], width) is None
    assert choose_background([], width) is None
