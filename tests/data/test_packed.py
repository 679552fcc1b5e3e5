"""Packs are read: in any order, by several processes, damaged ones too."""

import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from mattingjax import MattingError
from mattingjax.data.datasets import (
    ConcatDataset,
    PackedDataset,
    RecordError,
    create_manifest,
    describe_records,
    open_backgrounds,
    open_dataset,
)
from mattingjax.data.packed import Shard, is_packed
from mattingjax.data.pipeline import create_pipeline
from mattingjax.data.transforms import create_transform
from mattingjax.images import encode_png
from tests.data.packs import make_pack
from tests.data.pairs import check_pairs, fails, save_pairs
from tests.data.pictures import picture, save


@pytest.fixture
def place(tmp_path):
    """A folder with photos and alphas, cut-outs, and a pack of both and of backgrounds."""
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    save(tmp_path / 'rgba' / 'a.png', np.dstack([picture(0), picture(1)[..., 0]]))
    make_pack(
        tmp_path / 'pack',
        f'pairs=folders:{tmp_path}',
        f'heads=rgba:{tmp_path}/rgba',
        f'places=unlabelled:{tmp_path}/image',
    )
    return tmp_path


def assert_same(batches, expected):
    for batch, other in zip(batches, expected, strict=True):
        assert batch.keys() == other.keys()
        for name, value in batch.items():
            np.testing.assert_array_equal(value, other[name])


@pytest.mark.parametrize('workers', [0, 1])
def test_batches_are_those_of_the_folders(place, workers):
    """To the bit, with the same backgrounds and random augmentation."""
    batches = []
    for root, kind in ((place, 'folders'), (place / 'pack' / 'pairs', 'packed')):
        backgrounds = open_backgrounds(place / ('image' if kind == 'folders' else 'pack/places'))
        transform = create_transform('strong', 32, backgrounds=backgrounds, trimap=True)
        dataset = open_dataset(kind, root)
        pipeline = create_pipeline(dataset, transform, batch_size=2, seed=3, workers=workers)
        batches.append([next(pipeline) for _ in range(4)])
        pipeline.close()
    assert_same(*batches)


def test_records_in_any_order(place):
    dataset = open_dataset('packed', place / 'pack' / 'pairs')
    assert [dataset[i]['name'] for i in (2, 0, -2)] == ['c', 'a', 'b']
    with pytest.raises(IndexError):
        dataset[3]
    chosen = dataset.select([2, 0]).select([1, 0])
    assert [record['name'] for record in chosen] == ['a', 'c']
    assert isinstance(chosen[0]['image'], np.ndarray)


def test_it_can_be_pickled_and_told_apart(place):
    dataset = open_dataset('packed', place / 'pack' / 'pairs')
    assert '_reader' not in vars(dataset)  # opened when the first record is asked for
    written = {name: (picture(i), picture(i + 100)[..., 0]) for i, name in enumerate('abc')}
    check_pairs(dataset, written)
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy == dataset
    assert hash(copy) == hash(dataset)
    check_pairs(copy, written)
    shutil.move(place / 'pack', place / 'moved')
    moved = open_dataset('packed', place / 'moved' / 'pairs')
    assert repr(moved) == repr(dataset)
    assert repr(dataset).startswith('PackedDataset(3 records, ')
    assert repr(dataset.select([0, 1])) != repr(dataset.select([0, 2]))


def test_what_records_lack(place):
    kinds = {'pairs': (False, False), 'heads': (False, True), 'places': (True, False)}
    parts = {name: open_dataset('packed', place / 'pack' / name) for name in kinds}
    assert {name: describe_records(part) for name, part in parts.items()} == kinds
    assert describe_records(ConcatDataset((*parts.values(),))) == (True, True)


def test_the_manifest_of_a_training(place):
    dataset = open_dataset('packed', place / 'pack' / 'pairs')
    manifest = create_manifest(dataset)
    assert json.loads(json.dumps(manifest)) == manifest
    (listed, *_) = json.loads((place / 'pack' / 'pack.json').read_text())['parts']
    assert manifest['sha256'] == {'00000.array_record': listed['shards'][0]['sha256']}
    assert (manifest['kind'], manifest['records']) == ('packed', 3)
    assert create_manifest(dataset.select([0, 1]))['digest'] != manifest['digest']
    shutil.move(place / 'pack', place / 'moved')
    moved = create_manifest(open_dataset('packed', place / 'moved' / 'pairs'))
    assert {**moved, 'root': ''} == {**manifest, 'root': ''}


def test_backgrounds_are_pictures(place):
    with pytest.raises(MattingError, match='heads: expected pictures, found cut-outs'):
        open_backgrounds(place / 'pack' / 'heads')
    with pytest.raises(MattingError, match=r'pack: expected a part of the pack, .*: .*places'):
        open_backgrounds(place / 'pack')
    assert [is_packed(place / name) for name in ('pack', 'pack/heads', 'image', 'gone')] == [
        True, True, False, False,
    ]  # fmt: skip


def test_a_part_is_found_by_its_folder(place, monkeypatch):
    monkeypatch.chdir(place / 'pack' / 'pairs')
    assert len(open_dataset('packed', '.')) == 3
    assert len(open_dataset('packed', Path('..', 'heads'))) == 1
    (place / 'link').symlink_to(place / 'pack' / 'pairs')
    assert open_dataset('packed', place / 'link')[0]['name'] == 'a'


def test_what_is_no_part(place):
    pack = place / 'pack'
    assert fails('packed', pack) == (
        f'{pack}: expected a part of the pack, a folder in it: pairs, heads, places'
    )
    (pack / 'other').mkdir()
    said = fails('packed', pack / 'other')
    assert said == f'{pack}/other: pack.json beside it lists no part other'
    assert fails('packed', place / 'image').endswith('a part of a pack, a folder beside pack.json')


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda content: b'{', 'not a JSON file'),
        (
            lambda content: content.replace(b'"format": 1', b'"format": 2'),
            'format: expected 1, got 2',
        ),
        (lambda content: content.replace(b'"side"', b'"height"'), 'Pack.height: unknown field'),
        (lambda content: content.replace(b'"image"', b'"name"'), 'contents: expected one of'),
        (
            lambda content: content.replace(b'00000.', b'../00000.'),
            'file: expected the name of a f',
        ),
        (
            lambda content: content.replace(b'"records": 3', b'"records": 0'),
            'records: expected at ',
        ),
    ],
)
def test_a_damaged_list(place, change, message):
    file = place / 'pack' / 'pack.json'
    file.write_bytes(change(file.read_bytes()))
    said = fails('packed', place / 'pack' / 'pairs')
    assert said.startswith(f'{file}: expected the list of a pack: ')
    assert message in said


def test_files_that_are_missing_or_of_another_size(place):
    path = place / 'pack' / 'pairs' / '00000.array_record'
    content = path.read_bytes()
    path.write_bytes(content[:-1000])
    size = len(content)
    assert fails('packed', path.parent) == (
        f'{path}: damaged or another file: expected the {size} bytes that pack.json lists, found '
        f'{size - 1000}'
    )
    path.unlink()
    assert fails('packed', path.parent).startswith(f'{path}: cannot be read (No such file')


def test_damage_within_a_file(place):
    """It costs the record in which it lies, and a training does not start with it."""
    path = place / 'pack' / 'pairs' / '00000.array_record'
    content = bytearray(path.read_bytes())
    content[content.index(encode_png(picture(1), compress_level=9)) + 100] ^= 1
    path.write_bytes(content)
    dataset = open_dataset('packed', path.parent)
    assert (dataset[0]['name'], dataset[2]['name']) == ('a', 'c')
    with pytest.raises(RecordError) as caught:
        dataset[1]
    assert str(caught.value).startswith(f'{path.parent}: record 1 cannot be read (Corrupted ')
    assert '\n' not in str(caught.value)
    with pytest.raises(MattingError, match=f'{path}: damaged or another file: expected the SHA-25'):
        create_manifest(dataset)
    path.unlink()
    unopened = dataset.select([0])
    with pytest.raises(RecordError, match=r'record 0 cannot be read .*No such file'):
        unopened[0]
    with pytest.raises(MattingError, match=f'{path}: cannot be read'):
        create_manifest(dataset)


def archive(files, comment=b'team/a', compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', compression) as file:
        file.comment = comment
        for name, content in files.items():
            file.writestr(name, content)
    return buffer.getvalue()


PHOTO = encode_png(picture(0))
ALPHA = encode_png(picture(1)[..., 0])


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', r'record 0: damaged \(BadZipFile: '),
        (b'\0' * 1000, r'record 0: damaged \(BadZipFile: '),
        (archive({'image.png': bytes(10**6), 'alpha.png': ALPHA}, compression=zipfile.ZIP_DEFLATED),
         r'record 0: damaged \(BadZipFile: compressed\)'),
        (archive({'image.png': PHOTO}), r'0 \(team/a\): expected image, alpha, found image$'),
        (archive({'image.png': b'oops', 'alpha.png': ALPHA}), r'0 \(team/a\): not a picture'),
        (archive({'image.png': PHOTO, 'alpha.png': PHOTO}), r'8-bit greys, found mode RGB'),
        (archive({'image.png': PHOTO, 'alpha.png': encode_png(picture(1)[1:, :, 0])}),
         r"0 \(team/a\): alpha: expected the image's shape \[20, 30\], got \[19, 30\]"),
    ],
)  # fmt: skip
def test_records_of_strangers(tmp_path, content, message):
    writer = ArrayRecordWriter(str(tmp_path / 'x.array_record'), 'group_size:1')
    writer.write(content)
    writer.close()
    shards = (Shard('x.array_record', 1, 0, ''),)
    dataset = PackedDataset(tmp_path, shards, ('image', 'alpha'), range(1))
    with pytest.raises(RecordError, match=message):
        dataset[0]
