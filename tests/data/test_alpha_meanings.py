"""What the numbers of one file mean, found by looking or told by a setting."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError
from mattingjax.data.alpha_files import create_alpha_reader
from mattingjax.errors import ImageError
from tests.data.alphas import border, load_alpha, person, soft, voc_palette
from tests.data.pictures import picture, save


@pytest.mark.parametrize(
    ('make', 'found'),
    [
        (lambda mask: np.where(border(), 2, mask), 'values 0, 1, 2'),
        (lambda mask: mask * 15, 'values 0, 15'),
        (lambda mask: np.where(border(), 255, mask), 'values 0, 1, 255'),
        (lambda mask: np.where(border(), 255, mask * 15), 'values 0, 15, 255'),
        (lambda mask: np.where(border(), 255, mask * 168), 'values 0, 168, 255'),
        (lambda mask: np.where(border(), 255, 200 - mask * 32), 'values 168, 200, 255'),
        (lambda mask: np.where(border(), 3, 2 - mask), 'values 1, 2, 3'),
        (lambda mask: mask * 0 + 1, 'values 1'),
        (lambda mask: np.uint16(mask) * 15, '16-bit values 0, 15'),
        (lambda mask: np.uint16(np.where(border(), 255, mask)), '16-bit values 0, 1, 255'),
        (lambda mask: np.uint16(mask) * 4095, '16-bit values 0, 4095'),
        (lambda mask: (soft() * 100).astype(np.uint8), 'values 0 to 100'),
    ],
)
def test_numbers_that_do_not_tell_what_they_mean_are_refused(tmp_path, make, found):
    numbers = make(person())
    path = tmp_path / 'a.png'
    cv2.imwrite(str(path), numbers if numbers.dtype == np.uint16 else numbers.astype(np.uint8))
    with pytest.raises(ImageError) as caught:
        load_alpha(path)
    assert str(caught.value) == (
        f'{path}: {found} do not tell what the person is; set alpha_values=labels:N (N is the '
        'person) or grey:N (N is white)'
    )


@pytest.mark.parametrize(
    ('values', 'make', 'expected'),
    [
        ('labels:1', lambda mask: np.where(border(), 2, mask), person() & ~border()),
        ('labels:15', lambda mask: np.where(border(), 255, mask * 15), person() & ~border()),
        (
            'labels:1,2=0.5',
            lambda mask: np.where(border(), 2, mask),
            np.where(border(), 0.5, person()),
        ),
        ('labels:2,3', lambda mask: mask * 2 + border(), (person() > 0) & (person() * 2 >= 2)),
        ('grey:100', lambda mask: np.round(soft() * 100), soft()),
        ('grey', lambda mask: mask, person() / 255),
        ('labels:1', lambda mask: mask * 0 + 1, person() * 0 + 1),
    ],
)
def test_a_setting_tells_what_numbers_mean(tmp_path, values, make, expected):
    path = save(tmp_path / 'a.png', make(person()).astype(np.uint8))
    np.testing.assert_allclose(load_alpha(path, values), expected, atol=0.006)


def test_a_number_beyond_white_is_refused(tmp_path):
    path = save(tmp_path / 'a.png', person() * 101)
    with pytest.raises(ImageError, match=r'a.png: expected values in \[0, 100\], found 0 to 101'):
        load_alpha(path, 'grey:100')


@pytest.mark.parametrize('number', [1, 15])
def test_palettes_of_colours_count_by_index(tmp_path, number):
    image = Image.fromarray(person() * number)
    image.putpalette(voc_palette())
    image.save(tmp_path / 'a.png')
    with pytest.raises(ImageError, match=f'indices of a palette of colours 0, {number} do not'):
        load_alpha(tmp_path / 'a.png')
    np.testing.assert_array_equal(load_alpha(tmp_path / 'a.png', f'labels:{number}'), person())
    with pytest.raises(ImageError, match='found colours'):
        load_alpha(tmp_path / 'a.png', 'grey')


@pytest.mark.parametrize('suffix', ['png', 'gif'])
def test_palettes_of_greys_count_by_grey(tmp_path, suffix):
    path = tmp_path / f'a.{suffix}'
    if suffix == 'gif':  # its palette holds what occurs
        save(path, person() * 15)
    else:
        image = Image.fromarray(person())
        image.putpalette([0, 0, 0, 15, 15, 15])
        image.save(path)
    assert Image.open(path).mode == 'P'
    with pytest.raises(ImageError, match='values 0, 15 do not tell'):
        load_alpha(path)
    np.testing.assert_array_equal(load_alpha(path, 'labels:15'), person())


@pytest.mark.parametrize('mode', ['RGB', 'P', '1', 'L'])
def test_labels_that_no_file_holds_are_refused(tmp_path, mode):
    image = Image.fromarray(person() * (255 if mode == '1' else 15)).convert(mode)
    if mode == 'P':
        image.putpalette(voc_palette())
    image.save(tmp_path / 'a.png')
    found = '0, 1' if mode == '1' else '0, 15'
    (tmp_path / 'damaged.png').write_bytes(b'x')
    paths = sorted(tmp_path.iterdir())
    for predicted, name in ((False, 'alpha_values'), (True, 'prediction_values')):
        with pytest.raises(MattingError) as caught:
            create_alpha_reader(paths, 'labels:51,9', predicted=predicted)
        assert str(caught.value) == (
            f'{tmp_path}: {name}=labels:51,9: no such label in 1 of the files, found values {found}'
        )
    Image.fromarray(person() * 0).save(tmp_path / 'a.png')
    assert create_alpha_reader(paths, 'labels:51', predicted=True).load(paths[0]).max() == 0
    with pytest.raises(MattingError, match=r'found values 0$'):
        create_alpha_reader(paths, 'labels:51')


@pytest.mark.parametrize('suffix', ['webp', 'jpg'])
def test_what_compression_makes_of_greys_is_grey(tmp_path, suffix):
    path = save(tmp_path / f'a.{suffix}', np.dstack([person() * 255] * 3), quality=75)
    pixels = np.asarray(Image.open(path)).copy()
    np.testing.assert_allclose(load_alpha(path), person(), atol=0.25)
    pixels[3, 3] = (1, 2, 5)  # as other decoders have it
    alpha = load_alpha(save(tmp_path / 'a.png', pixels))
    assert alpha[3, 3] == np.float32(3 / 255)
    for coded in (pixels + np.uint8([0, 0, 5]), np.dstack([person()] + [0 * person()] * 2)):
        with pytest.raises(ImageError, match='found colours'):
            load_alpha(save(tmp_path / 'a.png', coded))


def test_more_bits_that_hold_eight(tmp_path):
    path = tmp_path / 'a.png'
    for numbers in (np.round(soft() * 255), person() * 255):
        cv2.imwrite(str(path), numbers.astype(np.uint16))
        np.testing.assert_array_equal(load_alpha(path), numbers.astype(np.float32) / 255)
        floats = save(tmp_path / 'a.tif', numbers.astype(np.float32))
        np.testing.assert_array_equal(load_alpha(floats), numbers.astype(np.float32) / 255)
    cv2.imwrite(str(path), person().astype(np.uint16))
    np.testing.assert_array_equal(load_alpha(path), person())


def test_noise_is_nobody(tmp_path):
    rng = np.random.default_rng(0)
    for share in (0.001, 0.1, 0.5):
        noise = (rng.random((200, 300)) < share).astype(np.uint8)
        assert load_alpha(save(tmp_path / 'a.png', noise)).max() <= 1 / 255
    # Smooth noise has areas, but many.
    smooth = cv2.GaussianBlur(rng.random((200, 300), np.float32), (0, 0), 6) > 0.52
    with pytest.raises(ImageError, match='values 0, 1 do not tell'):
        load_alpha(save(tmp_path / 'a.png', smooth.astype(np.uint8)))


@pytest.mark.parametrize(
    'levels', [(0, 128, 255), tuple(range(0, 256, 17)), (0, 85, 170, 255), (0, 1, 2, 254, 255)]
)
def test_few_levels_of_grey_are_greys(tmp_path, levels):
    numbers = np.array(levels, np.uint8)[np.round(soft() * (len(levels) - 1)).astype(int)]
    alpha = load_alpha(save(tmp_path / 'a.png', numbers))
    np.testing.assert_array_equal(alpha, numbers.astype(np.float32) / 255)


@pytest.mark.parametrize('grey', ['matte', 'black', 'white', 'photo'])
def test_transparency_is_the_matte(tmp_path, grey):
    matte = np.round(soft() * 255).astype(np.uint8)
    below = {
        'matte': matte,
        'black': 0 * matte,
        'white': 0 * matte + 255,
        'photo': np.random.default_rng(0).integers(0, 256, matte.shape, dtype=np.uint8),
    }[grey]
    for name, channels in (('rgba.png', [below] * 3 + [matte]), ('la.png', [below, matte])):
        path = save(tmp_path / name, np.dstack(channels))
        for reader in (create_alpha_reader([path]), create_alpha_reader([path], predicted=True)):
            np.testing.assert_array_equal(reader.load(path), matte.astype(np.float32) / 255)


def test_a_label_may_be_rare(tmp_path):
    for i in range(40):
        save(tmp_path / f'{i:02}.png', person() * (15 if i == 3 else 7))
    paths = sorted(tmp_path.iterdir())
    reader = create_alpha_reader(paths, 'labels:15')
    np.testing.assert_array_equal(reader.load(paths[3]), person())
    with pytest.raises(
        MattingError, match='no such label in 40 of the files, found values 0, 7, 15'
    ):
        create_alpha_reader(paths, 'labels:9')


@pytest.mark.parametrize('opacity', [128, 254])
def test_below_a_flat_transparency_a_grey_may_be_soft(tmp_path, opacity):
    grey = np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (40, 1))
    path = save(tmp_path / 'a.png', np.dstack([grey] * 3 + [np.full_like(grey, opacity)]))
    for values in ('auto', 'grey'):
        np.testing.assert_array_equal(load_alpha(path, values), np.float32(grey) / 255)


@pytest.mark.parametrize('values', ['auto', 'labels:255'])
@pytest.mark.parametrize('opacity', [0, 1, 128, 254, 'one pixel'])
def test_a_transparency_without_structure_is_none(tmp_path, values, opacity):
    flat = np.full_like(person(), 255 if opacity == 'one pixel' else opacity)
    flat[0, 0] = 0
    mask = person() * 255
    for name, channels in (('rgba.png', [mask] * 3 + [flat]), ('la.png', [mask, flat])):
        path = save(tmp_path / name, np.dstack(channels))
        np.testing.assert_array_equal(load_alpha(path, values), person())


@pytest.mark.parametrize('grey', [0, 255])
def test_nobody_is_seen_in_what_is_transparent_all_over(tmp_path, grey):
    pixels = np.full((20, 30, 4), (grey, grey, grey, 0), np.uint8)
    assert load_alpha(save(tmp_path / 'a.png', pixels)).max() == 0
    pixels[..., :3] = picture(0)
    assert load_alpha(save(tmp_path / 'a.png', pixels)).max() == 0


def test_two_mattes_in_one_picture_are_refused(tmp_path):
    mask = person() * 255
    turned = Image.fromarray(np.dstack([mask] * 3 + [mask * 0 + 255])).rotate(20)
    inverted = Image.fromarray(np.dstack([mask, 255 - mask]))
    for image in (turned, inverted):
        image.save(tmp_path / 'a.png')
        with pytest.raises(
            ImageError, match=r'one matte, found one in the grey .*; alpha_values=grey takes that$'
        ):
            load_alpha(tmp_path / 'a.png')
        alpha = load_alpha(tmp_path / 'a.png', 'labels:255')
        np.testing.assert_array_equal(alpha * 255, np.asarray(image)[..., 0])
        alpha = load_alpha(tmp_path / 'a.png', 'grey')
        np.testing.assert_allclose(alpha * 255, np.asarray(image)[..., -1], atol=1e-3)


def test_labels_may_be_the_transparency(tmp_path):
    path = save(tmp_path / 'a.png', np.dstack([person() * 0, person() * 15]))
    np.testing.assert_array_equal(load_alpha(path, 'labels:15'), person())


def test_floating_point_that_overshoots_is_clipped(tmp_path):
    path = tmp_path / 'a.tif'
    small = cv2.resize(person().astype(np.float32), (20, 20), interpolation=cv2.INTER_AREA)
    resized = cv2.resize(small, (60, 60), interpolation=cv2.INTER_CUBIC)
    assert resized.min() < -0.05
    assert resized.max() > 1.05
    for numbers in (resized, soft() * 1.00001, soft() - 1e-6):
        save(path, numbers.astype(np.float32))
        np.testing.assert_allclose(load_alpha(path), np.clip(numbers, 0, 1), atol=1e-6)
    save(path, (person() * 1.4).astype(np.float32))
    for predicted in (False, True):
        with pytest.raises(ImageError, match=r'expected values in \[0, 1\], found 0 to 1.4$'):
            create_alpha_reader([path], predicted=predicted).load(path)


@pytest.mark.parametrize('predicted', [False, True])
def test_the_setting_that_helps_is_named(tmp_path, predicted):
    name = 'prediction_values' if predicted else 'alpha_values'
    path = save(tmp_path / 'a.png', person() * 101)
    reader = create_alpha_reader([path], 'grey:100', predicted=predicted)
    with pytest.raises(ImageError, match=f'found 0 to 101; set {name}=labels:N'):
        reader.load(path)
    path = save(tmp_path / 'a.tif', (person() * 15).astype(np.float32))
    with pytest.raises(MattingError, match=f'values 0, 15 do not tell .*; set {name}=labels:N'):
        create_alpha_reader([path], predicted=predicted)
