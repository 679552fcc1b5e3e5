import csv

import numpy as np
import pytest
from PIL import Image

from mattingjax.data.datasets import open_dataset
from mattingjax.data.folders import open_images, open_pairs
from mattingjax.errors import MattingError
from mattingjax.training.bystanders import shows_people
from mattingjax.training.pseudo_labels import (
    find_strips,
    label_folder,
    merge,
    widen,
    with_mirror,
)
from tests.training.test_bystanders import street


def square(*, left: int = 40, right: int = 80, height: int = 120) -> np.ndarray:
    alpha = np.zeros((height, 120), np.float32)
    alpha[20:100, left:right] = 1
    return alpha


def test_soft_edges_are_the_mattes():
    mask = square()
    matte = mask.copy()
    matte[20:100, 38:40] = 0.4  # hair beyond the mask's border
    alpha, doubt = merge(matte, mask)
    np.testing.assert_array_equal(alpha, matte)
    assert doubt == 0


def test_the_mask_wins_where_the_matte_is_badly_wrong():
    mask = square()
    matte = mask.copy()
    matte[50:70, 50:70] = 0  # a hole
    matte[40:60, 95:115] = 1  # somebody else's
    alpha, doubt = merge(matte, mask)
    np.testing.assert_allclose(alpha[52:68, 52:68], 1, atol=0.01)
    np.testing.assert_allclose(alpha[42:58, 97:113], 0, atol=0.01)
    assert doubt == pytest.approx(800 / mask.sum())


def test_without_a_mask_grey_is_doubted():
    matte = square()
    assert merge(matte, None).alpha is matte
    assert merge(matte, None).doubt == 0
    assert merge(matte / 2, None).doubt == pytest.approx(2)
    # Nobody seen: perhaps somebody overlooked. A mask would know.
    assert merge(0 * matte, None).doubt == 1
    assert merge(0 * matte, 0 * matte).doubt == 0


def test_strips_are_beside_the_person():
    alpha = square(left=50, right=90)
    image = np.where(alpha[..., None] > 0, 255, [[[1, 2, 3]]]).astype(np.uint8)
    image[:, 0] = 7
    wide, narrow = find_strips(image, alpha)
    assert (wide.shape, narrow.shape) == ((120, 50, 3), (120, 30, 3))
    assert max(wide.max(), narrow.max()) == 7
    widened = widen(wide, 120)
    assert widened.shape == image.shape
    np.testing.assert_array_equal(widened[:, [0, 99, 100]], 7)  # mirrored, and mirrored again
    assert find_strips(image, square(left=10, right=110)) == []
    assert find_strips(image, np.ones_like(alpha)) == []


def test_no_background_shows_passers_by(tmp_path):
    alpha = np.zeros((600, 600), np.float32)
    alpha[:, 250:370] = 1
    shown = np.repeat(np.uint8(255 * alpha[..., None]), 3, -1)
    (tmp_path / 'photos').mkdir()
    for name, left, right in (('none', 0, 0), ('left', 1, 0), ('both', 1, 1)):
        photo = shown.copy()
        photo[:, 10:230] = street(0, somebody=bool(left))
        photo[:, 375:595] = street(1, somebody=bool(right))
        Image.fromarray(photo).save(tmp_path / f'photos/{name}.png')
    summary = label_folder(
        lambda image: alpha, open_images(tmp_path / 'photos'), tmp_path / 'labels', most_doubt=1
    )
    assert summary == (3, 0, 0, 2, 1)
    names = sorted(path.stem for path in (tmp_path / 'labels/background').iterdir())
    assert names == ['left', 'none']
    for name in names:
        background = np.asarray(Image.open(tmp_path / f'labels/background/{name}.jpg'))
        assert background.shape == shown.shape
        assert not shows_people(background)


def test_the_mirror_image_counts_as_much():
    image = np.zeros((4, 6, 3), np.uint8)
    image[:, :2] = 255

    def left_half(photo):
        alpha = photo[..., 0] / np.float32(255)
        return alpha * np.linspace(1, 0, 6, dtype=np.float32)

    alpha = with_mirror(left_half)(image)
    np.testing.assert_allclose(alpha[:, 0], 0.5)
    np.testing.assert_allclose(alpha[:, 1], (0.8 + 0.2) / 2)
    np.testing.assert_allclose(alpha[:, 2:], 0)


@pytest.fixture
def photos(tmp_path):
    """Photos that show their own alpha; one of them is damaged, one has a mask of nothing."""
    for folder in ('photos', 'masks'):
        (tmp_path / folder).mkdir()
    for name in ('a', 'b', 'c'):
        alpha = np.uint8(square() * 255)
        Image.fromarray(np.repeat(alpha[..., None], 3, -1)).save(tmp_path / f'photos/{name}.png')
        Image.fromarray(alpha * (name != 'c')).save(tmp_path / f'masks/{name}.png')
    content = (tmp_path / 'photos/b.png').read_bytes()
    (tmp_path / 'photos/b.png').write_bytes(content[: len(content) // 2])
    return tmp_path


def predict(image: np.ndarray) -> np.ndarray:
    return image[..., 0] / np.float32(255)


def test_labels_are_a_dataset(photos):
    output = photos / 'labels'
    dataset = open_pairs(photos / 'photos', photos / 'masks')
    assert label_folder(predict, dataset, output, most_doubt=0.5) == (1, 1, 1, 1, 0)
    (record,) = open_dataset('csv', output / 'labels.csv')
    np.testing.assert_array_equal(record['alpha'], square())
    assert record['image'].shape == (120, 120, 3)
    assert len(open_dataset('unlabelled', output / 'background')) == 1
    with (output / 'left_out.csv').open() as file:
        (left_out,) = csv.DictReader(file)
    assert left_out['image'].endswith('photos/c.png')
    assert Image.open(output / 'most_doubted.png').size[0] > 500


def test_photos_need_no_masks(photos):
    dataset = open_images(photos / 'photos')
    summary = label_folder(predict, dataset, photos / 'labels', most_doubt=0.5)
    assert summary == (2, 0, 1, 2, 0)


def test_who_is_overlooked_is_in_no_background(photos):
    dataset = open_images(photos / 'photos')
    output = photos / 'labels'
    summary = label_folder(lambda image: 0 * predict(image), dataset, output, most_doubt=0.5)
    assert summary == (0, 2, 1, 0, 0)


def test_two_photos_of_one_name_are_told(photos):
    Image.open(photos / 'photos/a.png').save(photos / 'photos/a.jpg')
    dataset = open_images(photos / 'photos')
    with pytest.raises(MattingError, match=r'a.png: has the name of .*a.jpg'):
        label_folder(predict, dataset, photos / 'labels', most_doubt=0.5)
    assert not (photos / 'labels').exists()
