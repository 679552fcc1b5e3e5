"""Datasets of every kind."""

import json
import pickle
import shutil

import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError
from mattingjax.data.datasets import (
    KINDS,
    ConcatDataset,
    RecordError,
    SyntheticPortraits,
    create_manifest,
    open_dataset,
)
from tests.data.pairs import check_pairs, fails, save_pairs
from tests.data.pictures import SIZE, picture, save


@pytest.mark.parametrize('kind', ['folders', 'csv', 'rgba'])
def test_label_maps_are_refused_unless_a_setting_tells_the_person(tmp_path, kind):
    numbers = np.zeros(SIZE, np.uint8)
    numbers[5:15, 5:20] = 15
    for name in 'abc':
        save(tmp_path / 'image' / f'{name}.png', picture(0))
        save(tmp_path / 'alpha' / f'{name}.png', numbers)
        save(tmp_path / 'rgba' / f'{name}.png', np.dstack([picture(0), numbers]))
    (tmp_path / 'list.csv').write_text('image,alpha\nimage/a.png,alpha/a.png\n')
    root = {'folders': tmp_path, 'csv': tmp_path / 'list.csv', 'rgba': tmp_path / 'rgba'}[kind]
    assert 'a.png: values 0, 15 do not tell what the person is; set alpha_values' in fails(
        kind, root
    )
    record = open_dataset(kind, root, alpha_values='labels:15')[0]
    np.testing.assert_array_equal(record['alpha'], numbers / 15)
    assert 'alpha_values: expected auto, grey, ' in fails(kind, root, alpha_values='15')


def test_cutouts(tmp_path):
    rgba = np.dstack([picture(0), picture(1)[..., 0]])
    save(tmp_path / 'team' / 'a.png', rgba)
    dataset = open_dataset('rgba', tmp_path)
    (record,) = dataset
    assert set(record) == {'name', 'foreground', 'alpha'}
    assert record['name'] == 'team/a'
    np.testing.assert_array_equal(record['foreground'], rgba[..., :3])
    assert record['foreground'].flags.c_contiguous
    np.testing.assert_array_equal(record['alpha'], rgba[..., 3].astype(np.float32) / 255)


def test_a_cutout_without_transparency_is_an_error(tmp_path):
    path = save(tmp_path / 'a.png', picture(0))
    with pytest.raises(RecordError, match=f'{path}: expected a transparent picture'):
        open_dataset('rgba', tmp_path)[0]


def test_unlabelled(tmp_path):
    for folder in ('x', 'y'):
        save(tmp_path / folder / 'a.png', picture(3))
    records = list(open_dataset('unlabelled', tmp_path))
    assert [record['name'] for record in records] == ['x/a', 'y/a']
    assert set(records[0]) == {'name', 'image'}
    np.testing.assert_array_equal(records[1]['image'], picture(3))


def test_synthetic():
    dataset = open_dataset('synthetic', count=4, size=32, seed=9)
    assert dataset == SyntheticPortraits(4, 32, 9)


def test_csv(tmp_path):
    written = save_pairs(tmp_path / 'i', tmp_path / 'm')
    lines = [f'{name},i/{name}.png,{tmp_path}/m/{name}.png' for name in reversed(written)]
    path = tmp_path / 'list.csv'
    # As spreadsheets write it: with a byte order mark and carriage returns.
    path.write_text('\r\n'.join(['comment,image,alpha', *lines]), encoding='utf-8-sig')
    dataset = open_dataset('csv', path)
    check_pairs(dataset, written)
    assert [record['name'] for record in dataset] == ['c', 'b', 'a']


def test_csv_without_alphas(tmp_path):
    save(tmp_path / 'a.png', picture(0))
    path = tmp_path / 'list.csv'
    path.write_text('image\na.png\n')
    assert set(open_dataset('csv', path)[0]) == {'name', 'image'}


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'expected columns image and alpha, found nothing'),
        (b'image;alpha\na.png;b.png', 'expected columns image and alpha, found image;alpha'),
        (b'image,alpha\n', 'lists no image'),
        (b'image,alpha\na.png,a.png\na.png\n', 'line 3 has no alpha'),
        (b'image,alpha\na.png,\n', 'line 2 has no alpha'),
        (b'image\nx.png\na.png\ny.png\n', '2 files are missing'),
        (b'image\n\xff\xfe\n', 'expected a CSV file in UTF-8'),
    ],
)
def test_csv_errors(tmp_path, content, message):
    save(tmp_path / 'a.png', picture(0))
    path = tmp_path / 'list.csv'
    path.write_bytes(content)
    assert fails('csv', path).startswith(f'{path}: {message}')


def test_what_is_missing_is_named(tmp_path):
    assert fails('coco') == f"kind: expected one of {', '.join(KINDS)}, got 'coco'"
    assert fails('mmnet') == 'root: expected where the mmnet dataset lies, got nothing'
    assert fails('csv', tmp_path / 'x.csv') == f'{tmp_path}/x.csv: cannot be read ' + (
        '(No such file or directory)'
    )
    assert fails('rgba', tmp_path) == f'{tmp_path}: holds no picture'
    file = save(tmp_path / 'a.png', picture(0))
    assert fails('unlabelled', file) == f'{file}: expected a folder of pictures, found a file'


def test_sizes_that_differ_are_told_when_the_record_is_read(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    save(tmp_path / 'alpha' / 'b.png', picture(0)[:15, :, 0])
    dataset = open_dataset('folders', tmp_path)
    assert dataset[0]['name'] == 'a'
    with pytest.raises(RecordError) as caught:
        dataset[1]
    assert str(caught.value) == (
        f'{tmp_path}/alpha/b.png: expected the size of {tmp_path}/image/b.png, 30x20, got 30x15'
    )


def test_a_photo_and_its_mask_are_brought_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90° to the right
    for folder, pixels in (('image', picture(0)), ('alpha', picture(0)[..., 0])):
        save(tmp_path / folder / 'a.png', pixels, exif=exif)
    record = open_dataset('folders', tmp_path)[0]
    turned = np.rot90(picture(0), -1)
    np.testing.assert_array_equal(record['image'], turned)
    np.testing.assert_array_equal(record['alpha'], turned[..., 0].astype(np.float32) / 255)


@pytest.mark.parametrize('folder', ['image', 'alpha'])
@pytest.mark.parametrize('damage', ['cut off', 'no picture', 'gone'])
def test_a_bad_file_is_named(tmp_path, folder, damage):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    dataset = open_dataset('folders', tmp_path)
    path = tmp_path / folder / 'b.png'
    content = path.read_bytes()
    path.unlink()
    if damage != 'gone':
        path.write_bytes(content[: len(content) // 2] if damage == 'cut off' else b'oops')
    with pytest.raises(RecordError, match=f'{path}: ') as caught:
        dataset[1]
    assert '\n' not in str(caught.value)
    assert dataset[2]['name'] == 'c'


def test_several_datasets_as_one(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    files, drawn = open_dataset('folders', tmp_path), SyntheticPortraits(2, 32)
    dataset = ConcatDataset((files, drawn, files))
    assert len(dataset) == 8
    names = [record['name'] for record in dataset]
    assert names == ['a', 'b', 'c', 'synthetic_0_000000', 'synthetic_0_000001', 'a', 'b', 'c']
    assert dataset[-5]['name'] == names[-5]
    with pytest.raises(IndexError):
        dataset[8]


def test_datasets_can_be_pickled_and_told_apart(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    dataset = open_dataset('folders', tmp_path)
    assert pickle.loads(pickle.dumps(dataset)) == dataset
    assert repr(dataset).startswith('FileDataset(3 records, names ')
    other = open_dataset('unlabelled', tmp_path / 'image')
    assert repr(other) != repr(dataset)
    shutil.move(tmp_path / 'image', tmp_path / 'moved')
    assert repr(open_dataset('unlabelled', tmp_path / 'moved')) == repr(other)


def test_manifest(tmp_path):
    save_pairs(tmp_path / 'one' / 'image', tmp_path / 'one' / 'alpha')
    shutil.copytree(tmp_path / 'one', tmp_path / 'two')
    one, two = (
        create_manifest(open_dataset('folders', tmp_path / name)) for name in ('one', 'two')
    )
    assert one['kind'] == 'files'
    assert one['records'] == 3
    assert one['root'] == str(tmp_path / 'one')
    assert sorted(one['sha256']) == [f'{k}/{n}.png' for k in ('alpha', 'image') for n in 'abc']
    assert one['sha256'] == two['sha256']
    assert one['digest'] == two['digest']
    save(tmp_path / 'two' / 'alpha' / 'b.png', picture(9)[..., 0])
    assert create_manifest(open_dataset('folders', tmp_path / 'two'))['digest'] != one['digest']


def test_manifest_of_several(tmp_path):
    save(tmp_path / 'a.png', picture(0))
    drawn = SyntheticPortraits(np.int64(2), 32, 5)
    manifest = create_manifest(ConcatDataset((open_dataset('unlabelled', tmp_path), drawn)))
    assert json.loads(json.dumps(manifest)) == manifest
    assert manifest['records'] == 3
    files, synthetic = manifest['parts']
    assert list(files['sha256']) == ['a.png']
    assert synthetic == {'kind': 'synthetic', 'records': 2, 'size': 32, 'seed': 5, 'version': 3}
    with pytest.raises(MattingError, match=r'dataset: .* got list'):
        create_manifest([])


def test_manifest_of_a_file_that_is_gone(tmp_path):
    path = save(tmp_path / 'a.png', picture(0))
    dataset = open_dataset('unlabelled', tmp_path)
    path.unlink()
    with pytest.raises(MattingError, match=f'{path}: cannot be read'):
        create_manifest(dataset)


def test_real_photos_and_masks(shared):
    root = shared / 'data' / 'ccp'
    train, test = (open_dataset('mmnet', root, split=split) for split in ('train', 'test'))
    assert (len(train), len(test)) == (843, 60)
    record = train[0]
    assert record['image'].shape[:2] == record['alpha'].shape
    assert record['alpha'].min() == 0
    assert record['alpha'].max() == 1
    assert 0.1 < record['alpha'].mean() < 0.4
    assert len(open_dataset('unlabelled', root / 'unlabelled')) == 547


def test_real_cutouts_and_backgrounds(shared):
    data = shared / 'data'
    cutouts = open_dataset('rgba', data / 'portraits_rgba')
    assert len(cutouts) == 159
    alpha = cutouts[0]['alpha']
    assert ((alpha > 0) & (alpha < 1)).mean() > 0.005
    assert len(open_dataset('unlabelled', data / 'backgrounds')) == 70
    assert len(open_dataset('unlabelled', data / 'backgrounds_cc')) == 17
