import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError
from mattingjax.pruning import choose_photos, load_pairs


def save(path, pixels):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(path)


def disc() -> np.ndarray:
    y, x = np.mgrid[:64, :64]
    return (np.hypot(y - 32, x - 32) < 18).astype(np.uint8)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)


def load(config, folder, count=9, **options):
    return list(load_pairs(config, folder / 'images', folder / 'alphas', count, **options))


@pytest.mark.parametrize('kind', ['255', '1', 'cut-out', '16 bits'])
def test_alphas_are_read_as_everywhere(mmnet, tmp_path, kind):
    numbers = {
        '255': disc() * 255,
        '1': disc(),
        'cut-out': np.dstack([photo(), disc() * 255]),
        '16 bits': disc().astype(np.uint16) * 65535,
    }[kind]
    save(tmp_path / 'images' / 'a.png', photo())
    save(tmp_path / 'alphas' / 'a.png', numbers)
    ((image, alpha),) = load(mmnet.config, tmp_path)
    np.testing.assert_array_equal(image[0], photo())
    assert alpha.dtype == np.float32
    np.testing.assert_array_equal(alpha[0, :, :, 0], disc())


def test_a_setting_tells_what_numbers_mean(mmnet, tmp_path):
    save(tmp_path / 'images' / 'a.png', photo())
    save(tmp_path / 'alphas' / 'a.png', disc() * 15)
    with pytest.raises(MattingError, match='values 0, 15 do not tell'):
        load(mmnet.config, tmp_path)
    ((_, alpha),) = load(mmnet.config, tmp_path, alpha_values='labels:15')
    np.testing.assert_array_equal(alpha[0, :, :, 0], disc())


def test_an_alpha_of_another_size_is_refused(mmnet, tmp_path):
    save(tmp_path / 'images' / 'a.png', photo())
    save(tmp_path / 'alphas' / 'a.png', np.hstack([disc(), disc()]) * 255)
    with pytest.raises(MattingError, match=r'a.png: expected the size of .*, 64x64, got 128x64'):
        load(mmnet.config, tmp_path)


def test_alphas_stay_in_their_range_when_enlarged(mmnet, tmp_path):
    save(tmp_path / 'images' / 'a.png', photo()[20:50, 20:45])
    save(tmp_path / 'alphas' / 'a.png', disc()[20:50, 20:45] * 255)
    ((image, alpha),) = load(mmnet.config, tmp_path)
    assert image.shape == (1, 64, 64, 3)
    assert alpha.shape == (1, 64, 64, 1)
    assert (alpha.min(), alpha.max()) == (0, 1)


def test_pairs_are_chosen_evenly_from_those_that_match(mmnet, tmp_path):
    for i in range(5):
        save(tmp_path / 'images' / f'caf\u00e9{i}.png', np.full((64, 64, 3), i, np.uint8))
        if i != 1:
            save(tmp_path / 'alphas' / f'cafe\u0301{i}.png', disc() * 255)
    pairs = load(mmnet.config, tmp_path, 3)
    assert [image.max() for image, _ in pairs] == [0, 2, 4]


def test_folders_that_do_not_match_are_told(mmnet, tmp_path):
    save(tmp_path / 'images' / 'a.png', photo())
    save(tmp_path / 'alphas' / 'b.png', disc() * 255)
    with pytest.raises(MattingError, match='1 of 1 images without alpha'):
        load(mmnet.config, tmp_path)
    with pytest.raises(MattingError, match='expected a folder of photos'):
        choose_photos(tmp_path / ('x' * 300), 2)
