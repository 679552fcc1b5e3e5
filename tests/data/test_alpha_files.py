"""One reader for all alphas: what files hold, and what their numbers mean."""

import cv2
import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError
from mattingjax.data.alpha_files import TRUE_ALPHAS, AlphaReader, create_alpha_reader
from mattingjax.data.alpha_values import EIGHT_BITS, MASK, parse_alpha_values
from mattingjax.data.alpha_values import GREY as GREYS
from mattingjax.errors import ImageError
from tests.data.pictures import SIZE, picture, save

GREY = (np.arange(600) % 256).astype(np.uint8).reshape(SIZE)


def load_alpha(path, values='auto'):
    return AlphaReader(parse_alpha_values(values)).load(path)


@pytest.mark.parametrize('mode', ['L', 'RGB', 'LA', 'RGBA', 'P'])
def test_greys_of_every_kind_are_alphas(tmp_path, mode):
    path = tmp_path / 'a.png'
    Image.fromarray(GREY).convert(mode).save(path)
    alpha = load_alpha(path)
    assert alpha.dtype == np.float32
    np.testing.assert_array_equal(alpha, GREY.astype(np.float32) / 255)


def test_sixteen_bit_alpha(tmp_path):
    values = (GREY.astype(np.uint16) << 8) + 77
    for name in ('a.png', 'a.tif'):
        cv2.imwrite(str(tmp_path / name), values)
        np.testing.assert_allclose(load_alpha(tmp_path / name), values / 65535, rtol=1e-6)


def test_one_bit_and_floating_point_alphas(tmp_path):
    Image.fromarray(GREY > 99).save(tmp_path / 'a.png')
    np.testing.assert_array_equal(load_alpha(tmp_path / 'a.png'), GREY > 99)
    Image.fromarray(GREY.astype(np.float32) / 255).save(tmp_path / 'a.tif')
    np.testing.assert_array_equal(load_alpha(tmp_path / 'a.tif'), GREY.astype(np.float32) / 255)


def test_a_label_map_is_a_mask(tmp_path):
    person = (GREY > 99).astype(np.uint8)
    np.testing.assert_array_equal(load_alpha(save(tmp_path / 'a.png', person)), person)
    np.testing.assert_array_equal(load_alpha(save(tmp_path / 'b.png', person * 255)), person)
    assert load_alpha(save(tmp_path / 'c.png', person * 0)).max() == 0


def test_transparency_counts_before_colours(tmp_path):
    path = save(tmp_path / 'a.png', np.dstack([picture(0), GREY]))
    np.testing.assert_array_equal(load_alpha(path), GREY.astype(np.float32) / 255)


@pytest.mark.parametrize('depth', ['colours', 'float'])
def test_what_is_no_alpha_is_refused(tmp_path, depth):
    path = tmp_path / 'a.tif'
    values = picture(0) if depth == 'colours' else GREY.astype(np.float32)
    Image.fromarray(values).save(path)
    expected = 'a grey picture' if depth == 'colours' else 'values 0 to 255 do not tell'
    with pytest.raises(ImageError, match=expected):
        load_alpha(path)


def test_a_cutout_with_a_palette_keeps_its_soft_transparency(tmp_path):
    pixels = np.arange(600, dtype=np.uint8).reshape(SIZE) % 8
    image = Image.fromarray(pixels)
    image.putpalette([value for grey in range(8) for value in (grey, 20, 30)])
    path = tmp_path / 'a.png'
    image.save(path, transparency=bytes(range(0, 256, 32)))
    foreground, alpha = TRUE_ALPHAS.load_cutout(path)
    np.testing.assert_array_equal(foreground[..., 0], pixels)
    np.testing.assert_allclose(alpha, pixels * 32 / 255, rtol=1e-6)


def person() -> np.ndarray:
    """A mask of 0 and 1: a disc."""
    y, x = np.mgrid[:64, :48]
    return (np.hypot(y - 34, x - 24) < 18).astype(np.uint8)


def border() -> np.ndarray:
    """Where the disc's border is, a few pixels wide."""
    square = np.ones((5, 5), np.uint8)
    return (cv2.dilate(person(), square) - cv2.erode(person(), square)).astype(bool)


def voc_palette() -> list[int]:
    """The colours of Pascal VOC's label maps."""
    colours = np.zeros((256, 3), int)
    for bit in range(8):
        for channel in range(3):
            colours[:, channel] |= ((np.arange(256) >> (3 * bit + channel)) & 1) << (7 - bit)
    return colours.ravel().tolist()


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


def soft() -> np.ndarray:
    """A matte in [0, 1] of many levels, white inside."""
    y, x = np.mgrid[:64, :48]
    return np.clip((24 - np.hypot(y - 34, x - 24)) / 15, 0, 1)


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
