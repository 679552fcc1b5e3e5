import csv
import json
import math
import re

import numpy as np
import pytest
from PIL import Image

from mattingjax import create_predictor, save_checkpoint
from mattingjax.checkpoints import hash_checkpoint
from mattingjax.data.datasets import open_dataset
from mattingjax.data.folders import open_images, open_pairs
from mattingjax.errors import MattingError
from mattingjax.training.labels import label_folder, label_photos, parse_input_sizes
from mattingjax.training.labels.bystanders import shows_people
from tests.training.labels.test_bystanders import street
from tests.training.labels.test_corrections import square


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


def test_labels_say_how_they_were_made(toy, photos):
    """The labels are the mean over sizes and mirror images, and labels.json says so."""
    save_checkpoint(photos / 'toy', toy)
    (photos / 'photos/b.png').unlink()
    label_photos(
        str(photos / 'toy'), photos / 'photos', None, photos / 'labels', alpha_values='auto',
        input_sizes=(32, 48), most_doubt=math.inf, flip=True, overwrite=False, tell=lambda _: None,
    )  # fmt: skip
    assert json.loads((photos / 'labels/labels.json').read_text()) == {
        'teacher': {
            'checkpoint': str(photos / 'toy'),
            'name': 'toy',
            'sha256': hash_checkpoint(toy),
            'runtime': 'jax',
            'device': 'CPU',
            'precision': 'f32',
        },
        'input_sizes': [32, 48],
        'flip': True,
        'images': str(photos / 'photos'),
        'masks': None,
        'alpha_values': 'auto',
        'most_doubt': None,
        'counts': {
            'labelled': 2, 'left_out': 0, 'unreadable': 0, 'backgrounds': 0, 'crowded': 0,
        },
    }  # fmt: skip
    predictors = [create_predictor(photos / 'toy', input_size=size) for size in (32, 48)]
    for record in open_dataset('csv', photos / 'labels/labels.csv'):
        image = record['image']
        views = [predict(image) for predict in predictors]
        views += [predict(image[:, ::-1])[:, ::-1] for predict in predictors]
        np.testing.assert_allclose(record['alpha'], np.mean(views, 0), atol=0.51 / 255)


@pytest.mark.parametrize('wrong', ['', '3.5', '-32', 'big', '32'])
def test_input_sizes_are_whole_numbers(wrong):
    assert parse_input_sizes(['32', '384']) == (32, 384)
    message = f'input_sizes: expected whole numbers of pixels, each once, got {wrong!r}'
    with pytest.raises(MattingError, match=re.escape(message)):
        parse_input_sizes(['32', '384', wrong])
