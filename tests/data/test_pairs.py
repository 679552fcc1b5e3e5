"""Photos meet their alphas by name."""

import numpy as np
import pytest
from PIL import Image

from mattingjax.data.datasets import (
    open_dataset,
)
from mattingjax.images import to_srgb
from mattingjax.images.icc import DISPLAY_P3, make_profile
from tests.data.pairs import check_pairs, fails, save_pairs
from tests.data.pictures import picture, save


@pytest.mark.parametrize(
    ('kind', 'split', 'images', 'alphas'),
    [('mmnet', 'test', 'image', 'mask'), ('ppm100', 'val', 'fg', 'alpha')],
)
def test_published_layouts(tmp_path, kind, split, images, alphas):
    written = save_pairs(tmp_path / split / images, tmp_path / split / alphas)
    check_pairs(open_dataset(kind, tmp_path, split=split), written)
    message = fails(kind, str(tmp_path), split='train')
    assert message == f'{tmp_path}/train/{images}: expected a folder of pictures, found nothing'


def test_folders_of_ones_own(tmp_path):
    written = save_pairs(tmp_path / 'photos', tmp_path / 'elsewhere' / 'mattes')
    dataset = open_dataset('folders', tmp_path, images='photos', alphas='elsewhere/mattes')
    check_pairs(dataset, written)
    # Absolute paths need no root.
    folders = {'images': str(tmp_path / 'photos'), 'alphas': str(tmp_path / 'elsewhere')}
    check_pairs(open_dataset('folders', **folders), written)


def test_alphas_below_the_images_are_no_images(tmp_path):
    written = save_pairs(tmp_path, tmp_path / 'alpha')
    check_pairs(open_dataset('folders', tmp_path, images='.'), written)


def test_names_that_repeat_are_told_apart_by_their_folders(tmp_path):
    names = ('clip1/0001', 'clip1/0002', 'clip2/0001')
    written = save_pairs(tmp_path / 'image', tmp_path / 'alpha', names)
    check_pairs(open_dataset('folders', tmp_path), written)


def test_folders_may_be_called_otherwise_where_names_do_not_repeat(tmp_path):
    save(tmp_path / 'image' / 'clip_1' / 'x.png', picture(0))
    save(tmp_path / 'alpha' / 'matting_1' / 'x.png', picture(1)[..., 0])
    assert open_dataset('folders', tmp_path)[0]['name'] == 'x'


def test_two_pictures_of_one_name_are_an_error(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    save(tmp_path / 'image' / 'a.jpg', picture(0))
    message = fails('folders', tmp_path)
    assert message == (
        f'{tmp_path}/image/a.png: has the name of {tmp_path}/image/a.jpg, extensions aside'
    )


COMPOSED, DECOMPOSED = 'caf\u00e9', 'cafe\u0301'  # as most systems and as macOS write it


def test_names_meet_however_unicode_composes_them(tmp_path):
    written = save_pairs(tmp_path / 'image', tmp_path / 'alpha', (COMPOSED,))
    (tmp_path / 'alpha' / f'{COMPOSED}.png').rename(tmp_path / 'alpha' / f'{DECOMPOSED}.png')
    check_pairs(open_dataset('folders', tmp_path), written)
    # Names that repeat are compared with their folders, which may differ likewise.
    names = (f'{COMPOSED}/0001', f'{COMPOSED}/0002', 'x/0001')
    written = save_pairs(tmp_path / 'b' / 'image', tmp_path / 'b' / 'alpha', names)
    (tmp_path / 'b' / 'alpha' / COMPOSED).rename(tmp_path / 'b' / 'alpha' / DECOMPOSED)
    check_pairs(open_dataset('folders', tmp_path / 'b'), written)
    # In lists too.
    path = tmp_path / 'list.csv'
    path.write_text(f'image,alpha\nimage/{DECOMPOSED}.png,alpha/{COMPOSED}.png\n', 'utf-8')
    assert open_dataset('csv', path)[0]['name'] == COMPOSED


def test_two_names_that_differ_in_their_composition_alone_are_an_error(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha', (COMPOSED,))
    save(tmp_path / 'image' / f'{DECOMPOSED}.png', picture(0))
    assert fails('folders', tmp_path) == (
        f'{tmp_path}/image/{COMPOSED}.png: has the name of {tmp_path}/image/{DECOMPOSED}.png, '
        'extensions and how Unicode composes letters aside'
    )


@pytest.mark.parametrize('kind', ['mmnet', 'folders', 'rgba', 'csv', 'unlabelled'])
def test_names_that_are_too_long_are_told(tmp_path, kind):
    assert 'xxxx' in fails(kind, tmp_path / ('x' * 300))


def test_a_list_with_a_name_that_is_too_long(tmp_path):
    (tmp_path / 'list.csv').write_text(f'image\n{"x" * 300}.png\n')
    assert '1 files are missing' in fails('csv', tmp_path / 'list.csv')


def test_a_folder_of_unknown_formats_is_told(tmp_path):
    for name in ('a.mov', 'b.mov', 'c.mp4'):
        (tmp_path / name).touch()
    assert fails('unlabelled', tmp_path) == (
        f'{tmp_path}: holds no picture in a format that can be read (2 .mov, 1 .mp4)'
    )


def test_mismatches_are_counted_and_named(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    for name in 'vwxyz':
        save(tmp_path / 'image' / f'{name}.jpg', picture(0))
    save(tmp_path / 'alpha' / 'lonely.png', picture(0)[..., 0])
    assert fails('folders', tmp_path) == (
        f'{tmp_path}/image: 5 of 8 images without alpha (v.jpg, w.jpg, x.jpg and 2 more); '
        f'{tmp_path}/alpha: 1 of 4 alphas without image (lonely.png)'
    )


def test_mismatches_can_be_left_out(tmp_path, caplog):
    written = save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    save(tmp_path / 'image' / 'more.png', picture(0))
    with caplog.at_level('WARNING', 'absl'):
        dataset = open_dataset('folders', tmp_path, allow_unmatched=True)
    check_pairs(dataset, written)
    assert '1 of 4 images without alpha (more.png)' in caplog.text


def test_folders_without_a_common_name_are_an_error_all_the_same(tmp_path):
    save(tmp_path / 'image' / 'a.png', picture(0))
    save(tmp_path / 'alpha' / 'b.png', picture(0)[..., 0])
    assert '1 of 1 images without alpha' in fails('folders', tmp_path, allow_unmatched=True)


def test_photos_are_in_srgb_whatever_their_profile(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha', ['a'])
    (photo,) = (tmp_path / 'image').iterdir()
    profile = make_profile(DISPLAY_P3)
    pixels = np.full((*Image.open(photo).size[::-1], 3), (200, 60, 40), np.uint8)
    photo.unlink()
    Image.fromarray(pixels).save(photo.with_suffix('.png'), icc_profile=profile)
    (record,) = open_dataset('folders', tmp_path)
    np.testing.assert_array_equal(record['image'], to_srgb(pixels, profile))
    assert record['image'][0, 0, 0] > 205  # P3's red is stronger
