import cv2
import numpy as np
import pytest

from mattingjax.data.on_device.store import create_store
from mattingjax.data.recomposition import blur_fusion
from mattingjax.data.records import RecordError
from mattingjax.data.synthetic import SyntheticPortraits
from mattingjax.errors import MattingError
from tests.data.on_device.pinned import blobs

OPTIONS = {'side': 60, 'size': 40, 'limit': 1e9}
BACKGROUNDS = [{'image': blobs(60, 80, seed)['image']} for seed in (8, 9)]


class Damaged(list):
    """Records of which some cannot be read."""

    def __getitem__(self, index):
        record = super().__getitem__(index)
        if record is None:
            raise RecordError(f'{index}.png: no picture')
        return record


def first_level(pictures, row):
    width, height = pictures.sides[row, 0]
    start = pictures.starts[row, 0]
    return pictures.pixels[start : start + width * height].reshape(height, width, -1)


def test_photos_are_reduced_and_never_enlarged():
    records = [blobs(120, 90), blobs(50, 40, seed=1)]
    photos = create_store(records, None, **OPTIONS).store.photos
    assert photos.pixels.dtype == np.uint8
    assert photos.sides[:, 0].tolist() == [[60, 80], [40, 50]]
    image = cv2.resize(records[0]['image'], (60, 80), interpolation=cv2.INTER_AREA)
    np.testing.assert_array_equal(first_level(photos, 0)[..., :3], image)
    np.testing.assert_array_equal(first_level(photos, 1)[..., :3], records[1]['image'])
    alpha = np.round(records[1]['alpha'] * 255)
    np.testing.assert_array_equal(first_level(photos, 1)[..., 3], alpha)
    # Each level has half the pixels of the one before, down to the smallest that is shown.
    areas = photos.sides.prod(-1)
    np.testing.assert_allclose(areas[0, 1:] / areas[0, :-1], 0.5, atol=0.02)
    assert photos.sides[0, -1].max() <= 0.7 * 40
    # Rows of fewer levels repeat their last one.
    _, first_ones = np.unique(photos.starts, return_index=True)
    assert len(photos.pixels) == areas.ravel()[first_ones].sum()


def test_foregrounds_are_estimated_where_they_are_not_known():
    records = [blobs(50, 40), blobs(50, 40, seed=1)]
    records[1]['foreground'] = records[1]['image'] // 2
    photos = create_store(records, BACKGROUNDS, **OPTIONS).store.photos
    estimated = blur_fusion(records[0]['image'], records[0]['alpha'])
    np.testing.assert_array_equal(first_level(photos, 0)[..., 4:], estimated)
    np.testing.assert_array_equal(first_level(photos, 1)[..., 4:], records[1]['foreground'])


def test_people_are_found_unless_cut_off_or_not_there():
    alpha = np.zeros((100, 60), np.float32)
    alpha[20:90, 10:30] = 1
    cut_off = alpha.copy()
    cut_off[60:] = 1
    image = np.zeros((100, 60, 3), np.uint8)
    records = [{'image': image, 'alpha': values} for values in (alpha, cut_off, 0 * alpha)]
    persons = create_store(records, None, **OPTIONS).store.persons
    np.testing.assert_allclose(persons, [[20, 70, 19.5], [0, 0, 0], [0, 0, 0]])


def test_what_cannot_be_read_is_replaced_and_told():
    records = Damaged([blobs(50, 40, seed) for seed in range(4)])
    records[2] = None
    behind = Damaged([*BACKGROUNDS, None])
    loaded = create_store(records, behind, **OPTIONS)
    assert len(loaded.store.photos.starts) == 3
    assert len(loaded.store.backgrounds.starts) == 2
    assert loaded.names == ['blobs 0', 'blobs 1', 'blobs 3']
    assert loaded.rows[[0, 1, 3]].tolist() == [0, 1, 2]
    assert loaded.rows[2] in (0, 1, 2)
    assert loaded.lost.tolist() == [False, False, True, False]
    assert loaded.unreadable == ['2.png: no picture', '2.png: no picture']
    with pytest.raises(RecordError, match=r'2\.png: no picture'):
        create_store(records, behind, on_error='raise', **OPTIONS)
    with pytest.raises(MattingError, match=r'none can be read, the first: 0\.png: no picture'):
        create_store(Damaged([None, None]), None, **OPTIONS)


@pytest.mark.slow
def test_worker_processes_read_the_same():
    portraits = SyntheticPortraits(4, 48)
    here, there = (create_store(portraits, None, workers=n, **OPTIONS) for n in (0, 2))
    for one, other in zip(here.store.photos, there.store.photos, strict=True):
        np.testing.assert_array_equal(one, other)
    assert here.names == there.names


def test_bad_input():
    records = [blobs(50, 40), {'image': blobs(50, 40)['image']}]
    with pytest.raises(MattingError, match='photos: expected all with an alpha or all without'):
        create_store(records, None, **OPTIONS)
    size = create_store(records[:1] * 9, None, **OPTIONS).size
    with pytest.raises(MattingError, match=r'side: expected .* the first 5 of 9 at 60 pixels'):
        create_store(records[:1] * 9, None, **OPTIONS | {'limit': size / 2})
