"""What the numbers mean where files of one folder settle it together."""

import cv2
import numpy as np
import pytest

from mattingjax import MattingError
from mattingjax.data.alpha_files import create_alpha_reader
from mattingjax.data.alpha_values import EIGHT_BITS, MASK
from mattingjax.data.alpha_values import GREY as GREYS
from mattingjax.errors import ImageError
from tests.data.alphas import border, load_alpha, person, soft
from tests.data.pictures import save


def save_all(folder, pictures):
    return [save(folder / f'{i}.png', picture) for i, picture in enumerate(pictures)]


def test_label_maps_are_told_once_and_settle_what_is_in_doubt(tmp_path, caplog):
    everywhere = np.ones_like(person())
    paths = save_all(tmp_path, [person(), person() * 0, everywhere])
    with caplog.at_level('WARNING', 'absl'):
        reader = create_alpha_reader(paths)
    assert reader.usual == MASK
    assert caplog.messages == [f'{tmp_path}: alphas read as alpha_values=labels:1']
    for path, expected in zip(paths, (person(), person() * 0, everywhere), strict=True):
        np.testing.assert_array_equal(reader.load(path), expected)
    # A grey one among them is none of theirs.
    with pytest.raises(ImageError, match='other alphas here are read as labels:1'):
        reader.load(save(tmp_path / 'x.png', np.round(soft() * 255).astype(np.uint8)))


def test_eight_bits_in_sixteen_settle_what_is_in_doubt(tmp_path):
    paths = [tmp_path / f'{i}.png' for i in range(3)]
    hair = np.round(soft() * 255) * (soft() < 0.99)  # nothing of it is white
    for path, numbers in zip(paths, (soft() * 255, person() * 255, hair), strict=True):
        cv2.imwrite(str(path), numbers.astype(np.uint16))
    with pytest.raises(ImageError, match=r'16-bit values 0 to 25. do not tell'):
        load_alpha(paths[2])
    for predicted in (False, True):
        reader = create_alpha_reader(paths, predicted=predicted)
        assert reader.usual == EIGHT_BITS
        np.testing.assert_array_equal(reader.load(paths[2]), hair.astype(np.float32) / 255)
    for path in paths:  # of floating point a black one tells nothing
        save(path.with_suffix('.tif'), cv2.imread(str(path), -1).astype(np.float32))
    floats = [path.with_suffix('.tif') for path in paths]
    black = save(tmp_path / 'black.tif', np.zeros((9, 9), np.float32))
    reader = create_alpha_reader([*floats, black])
    np.testing.assert_array_equal(reader.load(floats[2]), hair.astype(np.float32) / 255)
    assert reader.load(black).max() == 0


def test_among_mattes_a_map_of_0_and_1_is_in_doubt(tmp_path, caplog):
    matte = np.round(soft() * 255).astype(np.uint8)
    paths = save_all(tmp_path, [matte, matte, matte])
    with caplog.at_level('WARNING', 'absl'):
        reader = create_alpha_reader(paths)
    assert reader.usual == GREYS
    assert not caplog.messages
    with pytest.raises(ImageError, match=r'values 0, 1 .*other alphas here are read as grey'):
        reader.load(save(tmp_path / 'x.png', person()))
    assert create_alpha_reader(paths, 'grey').load(tmp_path / 'x.png').max() == np.float32(1 / 255)


def test_a_dataset_that_is_in_doubt_is_refused_at_once(tmp_path):
    paths = save_all(tmp_path, [person() * 15] * 3)
    with pytest.raises(MattingError, match=r'0.png: values 0, 15 do not tell'):
        create_alpha_reader(paths)
    cutouts = [save(tmp_path / f'{i}_.png', np.dstack([picture_of(p), p * 15]))
               for i, p in enumerate([person()] * 2)]  # fmt: skip
    with pytest.raises(MattingError, match=r'0_.png: values 0, 15 do not tell'):
        create_alpha_reader(cutouts, cutouts=True)
    reader = create_alpha_reader(cutouts, 'labels:15', cutouts=True)
    np.testing.assert_array_equal(reader.load_cutout(cutouts[0])[1], person())
    # Files that cannot be read are told when it is their turn.
    (tmp_path / 'damaged.png').write_bytes(b'x')
    assert create_alpha_reader([tmp_path / 'damaged.png']).usual is None


def picture_of(mask):
    return np.random.default_rng(0).integers(0, 256, (*mask.shape, 3), dtype=np.uint8)


DARK = {
    '0, 1': person(),
    '0, 15': person() * 15,
    '0, 1, 255': np.where(border(), 255, person()).astype(np.uint8),
}


@pytest.mark.parametrize('found', DARK)
def test_predictions_are_greys_however_dark(tmp_path, caplog, found):
    grey = np.round(soft() * 255).astype(np.uint8)
    paths = save_all(tmp_path, [grey, DARK[found], 0 * grey])
    with caplog.at_level('WARNING', 'absl'):
        reader = create_alpha_reader(paths, predicted=True)
    assert caplog.messages == [
        f'{paths[1]}: values {found} read as greys; set prediction_values=labels:N if N is the '
        'person'
    ]
    for path, numbers in zip(paths, (grey, DARK[found], 0 * grey), strict=True):
        np.testing.assert_array_equal(reader.load(path), numbers.astype(np.float32) / 255)


@pytest.mark.parametrize('found', DARK)
def test_predictions_of_which_none_is_surely_grey_are_refused(tmp_path, found):
    paths = save_all(tmp_path, [DARK[found], 0 * person()])
    message = f'0.png: values {found} do not tell .* set prediction_values=labels:N .* or grey:N'
    with pytest.raises(MattingError, match=message):
        create_alpha_reader(paths, predicted=True)
    reader = create_alpha_reader(paths, 'grey', predicted=True)
    np.testing.assert_array_equal(reader.load(paths[0]), DARK[found] / np.float32(255))


def test_a_flat_prediction_is_grey(tmp_path):
    path = save(tmp_path / 'a.png', np.full_like(person(), 128))
    assert (create_alpha_reader([path], predicted=True).load(path) == np.float32(128 / 255)).all()
    with pytest.raises(MattingError, match='values 128 do not tell'):
        create_alpha_reader([path])


def test_predictions_of_other_ranges(tmp_path):
    path = save(tmp_path / 'a.png', DARK['0, 1, 255'])
    reader = create_alpha_reader([path], 'labels:1', predicted=True)
    np.testing.assert_array_equal(reader.load(path), person() & ~border())
    cv2.imwrite(str(path), np.round(soft() * 255).astype(np.uint16))
    np.testing.assert_allclose(
        create_alpha_reader([path], predicted=True).load(path), soft(), atol=1 / 500
    )


@pytest.mark.parametrize('name', ['labels_0_1_2', 'person1_border255'])
def test_label_maps_as_people_have_them(shared, name):
    folder = shared / 'cases' / 'alphas'
    if not folder.is_dir():
        pytest.skip(f'{folder} is not there')
    true = load_alpha(folder / 'true.png')
    with pytest.raises(ImageError, match=r'alpha_values=labels:N'):
        load_alpha(folder / f'{name}.png')
    np.testing.assert_array_equal(load_alpha(folder / f'{name}.png', 'labels:1'), true)
