"""True and predicted alphas are read alike, and meet by their names."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError
from mattingjax.data.alpha_files import load_trimap
from mattingjax.evaluation import EvaluationOptions, Folders, evaluate_folders

COMPOSED, DECOMPOSED = 'caf\u00e9', 'cafe\u0301'  # as most systems and as macOS write it
MAD = EvaluationOptions(metrics=('mad',), regions=('whole',))


def matte() -> np.ndarray:
    """Soft at its border, white inside: uint8."""
    y, x = np.mgrid[:64, :48]
    return np.round(255 * np.clip((24 - np.hypot(y - 34, x - 24)) / 9, 0, 1)).astype(np.uint8)


def disc() -> np.ndarray:
    """A mask of 0 and 1."""
    return (matte() > 127).astype(np.uint8)


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*matte().shape, 3), dtype=np.uint8)


def save(folder, name, pixels):
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / f'{name}.png')


def measure(tmp_path, **settings) -> float:
    """MAD of the predictions against the alphas that lie in `tmp_path`."""
    folders = Folders(alphas=tmp_path / 'alphas', predictions=tmp_path / 'predictions', **settings)
    report, _ = evaluate_folders(folders, MAD)
    return report.means['mad']


PERFECT = {
    'grey': matte(),
    'cut-out': np.dstack([photo(), matte()]),
    'four channels': np.dstack([matte()] * 4),
    'black with alpha': np.dstack([0 * photo(), matte()]),
    'white with alpha': np.dstack([0 * photo() + 255, matte()]),
    'grey with alpha': np.dstack([matte(), matte()]),
    'opaque': np.dstack([matte(), matte(), matte(), 0 * matte() + 255]),
    '16 bits': matte().astype(np.uint16) * 257,
}


@pytest.mark.parametrize('predicted', PERFECT)
@pytest.mark.parametrize('true', ['grey', 'cut-out'])
def test_a_perfect_matte_has_no_error(tmp_path, true, predicted):
    save(tmp_path / 'alphas', 'a', PERFECT[true])
    save(tmp_path / 'predictions', 'a_alpha', PERFECT[predicted])
    assert measure(tmp_path) == 0


@pytest.mark.parametrize('predicted', [0 * matte(), np.dstack([photo(), 0 * matte()])])
def test_an_empty_prediction_has_the_error_of_one(tmp_path, predicted):
    save(tmp_path / 'alphas', 'a', matte())
    save(tmp_path / 'predictions', 'a', predicted)
    assert measure(tmp_path) == pytest.approx(matte().mean() / 255, rel=1e-5)


def test_settings_tell_what_label_maps_mean(tmp_path):
    border = cv2.dilate(disc(), np.ones((5, 5), np.uint8)) - disc()
    save(tmp_path / 'alphas', 'a', np.where(border, 255, disc()).astype(np.uint8))
    save(tmp_path / 'predictions', 'a', disc() * 15)
    with pytest.raises(MattingError, match=r'values 0, 1, 255 do not tell .* alpha_values=labels'):
        measure(tmp_path)
    with pytest.raises(MattingError, match=r'values 0, 15 do not .* prediction_values=labels'):
        measure(tmp_path, alpha_values='labels:1')
    assert measure(tmp_path, alpha_values='labels:1', prediction_values='labels:15') == 0
    content = Folders(alphas=tmp_path, predictions=tmp_path, alpha_values='labels:1').to_dict()
    assert content['alpha_values'] == 'labels:1'
    assert 'prediction_values' not in content


def test_cut_outs_of_label_maps(tmp_path):
    save(tmp_path / 'cutouts', 'a', np.dstack([photo(), disc() * 15]))
    save(tmp_path / 'places', 'b', photo())
    where = {'foregrounds': tmp_path / 'cutouts', 'backgrounds': tmp_path / 'places'}
    with pytest.raises(MattingError, match=r'a.png: values 0, 15 do not tell'):
        Folders(**where).open()
    record = Folders(**where, alpha_values='labels:15').open()[0]
    np.testing.assert_array_equal(record['alpha'], disc())


def test_a_matte_of_the_shared_cases(shared, tmp_path):
    folder = shared / 'cases' / 'alphas'
    if not folder.is_dir():
        pytest.skip(f'{folder} is not there')
    for target, name in (('alphas', 'true'), ('predictions', 'matte_in_all_four_channels')):
        (tmp_path / target).mkdir()
        (tmp_path / target / 'a.png').write_bytes((folder / f'{name}.png').read_bytes())
    assert measure(tmp_path) == 0


@pytest.mark.parametrize('grey', [1, 63, 64, 128, 192, 193])
def test_the_grey_of_a_trimap_is_a_middle_one(tmp_path, grey):
    save(tmp_path, 'a', disc() * np.uint8(grey))
    if 64 <= grey <= 192:
        np.testing.assert_array_equal(load_trimap(tmp_path / 'a.png'), disc() / 2)
        return
    with pytest.raises(MattingError, match=f'its grey from 64 to 192 of 255, found {grey}$'):
        load_trimap(tmp_path / 'a.png')


def test_names_meet_however_unicode_composes_them(tmp_path):
    save(tmp_path / 'alphas', COMPOSED, matte())
    save(tmp_path / 'images', DECOMPOSED, photo())
    save(tmp_path / 'predictions', f'{DECOMPOSED}_alpha', matte())
    assert measure(tmp_path) == 0
    dataset = Folders(images=tmp_path / 'images', alphas=tmp_path / 'alphas').open()
    assert [entry.name for entry in dataset.entries] == [COMPOSED]
    save(tmp_path / 'predictions', f'{COMPOSED}_alpha', matte())
    with pytest.raises(MattingError, match='how Unicode composes letters aside'):
        measure(tmp_path)
