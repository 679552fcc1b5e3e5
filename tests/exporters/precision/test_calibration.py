"""The photos of eight bits, and what a form loses on them."""

import hashlib

import numpy as np
import pytest
from PIL import Image

from exporters.precision.calibration import (
    MAX_DIFFERENCE,
    MAX_MAD_DROP,
    Batches,
    Calibration,
    Loss,
    open_calibration,
)
from mattingjax.errors import MattingError
from mattingjax.images import resize
from mattingjax.inference.signature import Signature


def make_alpha(i):
    return np.tile(np.roll(np.linspace(0, 255, 90), 9 * i).astype(np.uint8), (70, 1))


@pytest.fixture
def folders(tmp_path):
    """Five photos, and alphas that rise from left to right, each from another place on."""
    for name in ('images', 'alphas'):
        (tmp_path / name).mkdir()
    rng = np.random.default_rng(0)
    for i in range(5):
        photo = rng.integers(0, 256, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(photo).save(tmp_path / 'images' / f'{i}.png')
        Image.fromarray(make_alpha(i)).save(tmp_path / 'alphas' / f'{i}.png')
    return tmp_path


def sign(config, **changes):
    values = {
        'input_name': 'input', 'output_name': 'output', 'shape': (2, 32, 48, 3), 'dtype': 'float32',
        'scaling_inside': True, 'colour_order': 'RGB', 'resize_inside': False,
        'input_size': config.input_size, 'preprocessing': config.preprocessing,
    }  # fmt: skip
    return Signature(**{**values, **changes})


def test_batches_are_made_when_they_are_asked_for():
    photos = [np.full((2, 3, 3), i, np.uint8) for i in range(5)]
    batches = Batches(photos, 2, lambda images: images + 1)
    assert len(batches) == 5
    assert batches[3].shape == (2, 2, 3, 3)
    assert batches[3].dtype == np.float32
    assert [batch[1, 0, 0, 0] for batch in batches[1::2]] == [2, 4]


def test_photos_are_encoded_as_the_network_takes_them(mmnet, modnet, folders):
    records = open_calibration(folders / 'images', None)
    plain = Calibration(mmnet, records, sign(mmnet.config), 0.1).batches[0]
    assert plain.shape == (2, 32, 48, 3)
    np.testing.assert_array_equal(plain, np.round(plain))
    scaled = Calibration(modnet, records, sign(modnet.config, scaling_inside=False), 0.1)
    np.testing.assert_allclose(scaled.batches[0], plain / 127.5 - 1, atol=1e-6)


def test_without_alphas_the_difference_from_the_network_is_bounded(mmnet, folders):
    records = open_calibration(folders / 'images', None)
    calibration = Calibration(mmnet, records, sign(mmnet.config), 0.1)
    assert calibration.limit == MAX_DIFFERENCE
    description = calibration.describe()
    digest = description.pop('digest')
    assert description == {'photos': 5, 'alphas': False, 'max_difference': MAX_DIFFERENCE}
    files = sorted((folders / 'images').iterdir())
    listed = '\n'.join(f'{hashlib.sha256(f.read_bytes()).hexdigest()} {f.name}' for f in files)
    assert digest == hashlib.sha256(listed.encode()).hexdigest()

    def run(images):
        return np.asarray(mmnet.apply(images)['alpha']) + 0.25

    loss = calibration.measure(run)
    assert (loss.photos, loss.mad, loss.network_mad) == (5, None, None)
    assert calibration.excess(run) == pytest.approx(0.25, abs=1e-6)


def test_with_alphas_the_rise_of_their_errors_is(mmnet, folders):
    records = open_calibration(folders / 'images', folders / 'alphas')
    calibration = Calibration(mmnet, records, sign(mmnet.config), 0.1)
    assert calibration.limit == 0.1
    description = calibration.describe()
    assert len(description.pop('digest')) == 64
    assert description == {'photos': 5, 'alphas': True, 'max_mad_drop': 0.1}
    assert Calibration(mmnet, records, sign(mmnet.config)).limit == MAX_MAD_DROP == 0.0005
    true = [resize(make_alpha(i) / np.float32(255), 32, 48) for i in range(5)]
    loss = calibration.measure(lambda images: np.full((2, 32, 48, 1), 0.5))
    assert loss.mad == pytest.approx(np.mean([np.abs(0.5 - a).mean() for a in true]), abs=1e-5)
    alphas = [np.asarray(mmnet.apply(batch)['alpha'])[0, :, :, 0] for batch in calibration.batches]
    expected = np.mean([np.abs(a - b).mean() for a, b in zip(alphas, true, strict=True)])
    assert loss.network_mad == pytest.approx(expected, abs=1e-5)
    assert loss.excess == pytest.approx(loss.mad - expected, abs=1e-5)
    errors = calibration.errors(lambda images: np.zeros((2, 32, 48, 1)), [1, 4])
    assert errors == pytest.approx([true[1].mean(), true[4].mean()], abs=1e-5)


@pytest.mark.parametrize('kind', ['images', 'alphas'])
def test_the_digest_is_of_the_content_of_all_files(mmnet, folders, kind):
    def digest():
        records = open_calibration(folders / 'images', folders / 'alphas')
        return Calibration(mmnet, records, sign(mmnet.config)).describe()['digest']

    before = digest()
    assert digest() == before
    path = folders / kind / '3.png'
    content = path.read_bytes()
    pixels = np.array(Image.open(path))
    pixels[40, 50] ^= 1
    Image.fromarray(pixels).save(path)
    assert digest() != before
    path.write_bytes(content)
    assert digest() == before


def test_a_loss_tells_its_figures():
    assert str(Loss(3, 0.002)) == '0.00200 from the network on 3 photos'
    text = str(Loss(3, 0.002, 0.0131, 0.0125))
    assert text == 'MAD 0.01310, the network 0.01250 on 3 photos'


def test_folders_that_do_not_match_are_told(folders, tmp_path):
    (folders / 'alphas' / '3.png').unlink()
    with pytest.raises(MattingError, match='3'):
        open_calibration(folders / 'images', folders / 'alphas')
    (tmp_path / 'empty').mkdir()
    with pytest.raises(MattingError, match='empty'):
        open_calibration(tmp_path / 'empty', None)
