"""Data sets become packs: the pictures in them, their manifest, and what is refused."""

import csv
import hashlib
import io
import json
import re
import zipfile

import numpy as np
import pytest
from PIL import Image

from mattingjax import MattingError
from mattingjax.data.datasets import open_dataset
from mattingjax.data.packing import Encoder
from mattingjax.errors import OutputError
from tests.data.packs import make_pack
from tests.data.pairs import check_pairs, save_pairs
from tests.data.pictures import picture, save


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def read_csv(path):
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def test_png_keeps_every_pixel_and_the_order(tmp_path):
    written = save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    names = list(reversed(written))
    rows = [f'image/{name}.png,alpha/{name}.png' for name in names]
    (tmp_path / 'list.csv').write_text('\n'.join(['image,alpha', *rows]))
    make_pack(tmp_path / 'pack', f'some=csv:{tmp_path}/list.csv')
    packed = open_dataset('packed', tmp_path / 'pack' / 'some')
    check_pairs(packed, written)
    assert [record['name'] for record in packed] == names


def test_the_manifest(tmp_path):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    save(tmp_path / 'places' / 'x' / 'p.png', picture(9))
    (tmp_path / 'LICENCE').write_text('Do what you like.\n')
    told = make_pack(
        tmp_path / 'pack',
        f'people=folders:{tmp_path}',
        f'places=unlabelled:{tmp_path}/places',
        licence=['people=Apache-2.0', f'places=@{tmp_path}/LICENCE'],
        encoder=Encoder(side=100, quality=70),
    )
    content = json.loads((tmp_path / 'pack' / 'pack.json').read_text())
    people, places = content.pop('parts')
    assert content == {'format': 1, 'side': 100, 'photos': 'jpeg', 'quality': 70}
    shard = tmp_path / 'pack' / 'people' / '00000.array_record'
    assert people == {
        'name': 'people',
        'contents': ['image', 'alpha'],
        'licence': 'Apache-2.0',
        'shards': [
            {
                'file': shard.name,
                'records': 3,
                'size': shard.stat().st_size,
                'sha256': hash_of(shard),
            }
        ],
        'unreadable': [],
    }
    assert (places['contents'], places['licence']) == (['image'], 'Do what you like.\n')
    assert read_csv(tmp_path / 'pack' / 'people' / 'sources.csv') == [
        {'name': name, **{kind: hash_of(tmp_path / kind / f'{name}.png') for kind in columns}}
        for columns in [('image', 'alpha')]
        for name in 'abc'
    ]
    (place,) = read_csv(tmp_path / 'pack' / 'places' / 'sources.csv')
    assert place == {'name': 'x/p', 'image': hash_of(tmp_path / 'places' / 'x' / 'p.png')}
    assert told[0].startswith('people: 3 records, 0 unreadable, ')
    assert told[-1].endswith(f'--config.dataset.root={tmp_path}/pack/people')


def test_the_same_files_give_the_same_bytes_wherever_they_lie(tmp_path):
    packs = []
    for folder in ('one', 'two'):
        save_pairs(tmp_path / folder / 'image', tmp_path / folder / 'alpha')
        make_pack(tmp_path / f'{folder}_pack', f'a=folders:{tmp_path}/{folder}', encoder=Encoder())
        files = sorted((tmp_path / f'{folder}_pack').rglob('*.*'))
        packs.append({file.name: file.read_bytes() for file in files})
    assert packs[0] == packs[1]
    assert sorted(packs[0]) == ['00000.array_record', 'pack.json', 'sources.csv']


@pytest.mark.parametrize(('size', 'expected'), [((90, 60), (30, 20)), ((15, 25), (15, 25))])
def test_larger_photos_are_shrunk_by_area_and_smaller_ones_stay(tmp_path, size, expected):
    rng = np.random.default_rng(0)
    image, alpha = (rng.integers(0, 256, (*size, *c), dtype=np.uint8) for c in ((3,), ()))
    save(tmp_path / 'image' / 'a.png', image)
    save(tmp_path / 'alpha' / 'a.png', alpha)
    encoder = Encoder(side=20, photos='png')
    make_pack(tmp_path / 'pack', f'a=folders:{tmp_path}', encoder=encoder)
    record = open_dataset('packed', tmp_path / 'pack' / 'a')[0]
    factor = size[0] // expected[0]
    rows, columns = expected
    for found, source in ((record['image'], image), (255 * record['alpha'], alpha)):
        blocks = source.reshape(rows, factor, columns, factor, -1).mean((1, 3))
        np.testing.assert_allclose(found, blocks.reshape(found.shape), atol=0.51)
    np.testing.assert_array_equal(255 * record['alpha'], np.round(255 * record['alpha']))


def test_jpeg_photos_are_near_and_alphas_exact(tmp_path):
    rows, columns = np.mgrid[0:60, 0:50]
    image = np.stack([rows * 4, columns * 5, 2 * (rows + columns)], -1).astype(np.uint8)
    save(tmp_path / 'image' / 'a.png', image)
    save(tmp_path / 'alpha' / 'a.png', image[..., 0])
    errors = []
    for quality in (30, 95):
        output = tmp_path / f'pack{quality}'
        make_pack(output, f'a=folders:{tmp_path}', encoder=Encoder(quality=quality))
        record = open_dataset('packed', output / 'a')[0]
        errors.append(np.abs(record['image'].astype(float) - image).mean())
        np.testing.assert_array_equal(record['alpha'], image[..., 0].astype(np.float32) / 255)
    assert errors[1] < 2 < errors[0] < 12


def test_a_record_is_an_archive_of_pictures_as_an_encoder_makes_them():
    record = {'name': 'team/a', 'image': picture(0), 'alpha': picture(1)[..., 0] / np.float32(255)}
    with zipfile.ZipFile(io.BytesIO(Encoder(quality=80).encode(record))) as archive:
        assert archive.namelist() == ['image.jpg', 'alpha.png']
        assert archive.comment == b'team/a'
        photo = Image.open(io.BytesIO(archive.read('image.jpg')))
        alpha = Image.open(io.BytesIO(archive.read('alpha.png')))
        assert (photo.format, photo.mode, alpha.format, alpha.mode) == ('JPEG', 'RGB', 'PNG', 'L')
        np.testing.assert_array_equal(alpha, picture(1)[..., 0])


def test_cutouts(tmp_path):
    """In JPEG the colours of invisible pixels do not reach the visible ones."""
    pixels = np.zeros((32, 32, 4), np.uint8)
    pixels[..., :3] = (0, 255, 0)  # of what is invisible
    pixels[8:24, 5:20] = (200, 120, 90, 255)
    save(tmp_path / 'rgba' / 'a.png', pixels)
    for photos, tolerance in (('png', 0), ('jpeg', 3)):
        output = tmp_path / photos
        make_pack(output, f'heads=rgba:{tmp_path}/rgba', encoder=Encoder(photos=photos))
        record = open_dataset('packed', output / 'heads')[0]
        assert set(record) == {'name', 'foreground', 'alpha'}
        np.testing.assert_array_equal(record['alpha'], pixels[..., 3] / np.float32(255))
        colours = record['foreground'][8:24, 5:20].astype(int)
        np.testing.assert_allclose(colours, pixels[8:24, 5:20, :3], atol=tolerance)
    nothing = {'name': '', 'foreground': picture(0), 'alpha': np.zeros((20, 30), np.float32)}
    assert Encoder().encode(nothing)


def test_several_data_sets_become_one_part_and_some_records_are_taken(tmp_path):
    for folder, names in (('one', 'abcde'), ('two', 'xyz')):
        save_pairs(tmp_path / folder / 'fotos', tmp_path / folder / 'alpha', names)
    datasets = [f'all=folders:{tmp_path}/{folder}' for folder in ('one', 'two')]
    make_pack(tmp_path / 'pack', *datasets, every=['all=2'], images=['all=fotos'])
    packed = open_dataset('packed', tmp_path / 'pack' / 'all')
    assert [record['name'] for record in packed] == ['a', 'c', 'e', 'x', 'z']


def test_label_maps_are_packed_as_what_they_mean(tmp_path):
    numbers = np.zeros((20, 30), np.uint8)
    numbers[5:15] = 15
    save(tmp_path / 'image' / 'a.png', picture(0))
    save(tmp_path / 'alpha' / 'a.png', numbers)
    make_pack(tmp_path / 'pack', f'a=folders:{tmp_path}', alpha_values=['a=labels:15'])
    record = open_dataset('packed', tmp_path / 'pack' / 'a')[0]
    np.testing.assert_array_equal(record['alpha'], numbers / 15)


def test_files_of_records_have_a_largest_size(tmp_path):
    rng = np.random.default_rng(0)
    for name in 'abc':  # of noise, 0.75 MB each
        save(tmp_path / f'{name}.png', rng.integers(0, 256, (500, 500, 3), dtype=np.uint8))
    make_pack(
        tmp_path / 'pack', f'a=unlabelled:{tmp_path}', encoder=Encoder(500, 'png'), shard_mb=1
    )
    folder = tmp_path / 'pack' / 'a'
    assert len(list(folder.glob('*.array_record'))) == 3
    assert [record['name'] for record in open_dataset('packed', folder)] == ['a', 'b', 'c']


def test_photos_that_cannot_be_read_are_left_out_and_counted(tmp_path, capsys):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    (tmp_path / 'image' / 'b.png').write_bytes(b'oops')
    told = make_pack(tmp_path / 'pack', f'a=folders:{tmp_path}')
    assert told[0].startswith('a: 2 records, 1 unreadable, ')
    assert told[0].endswith(', no licence given')
    assert f'skipped: {tmp_path}/image/b.png: ' in capsys.readouterr().err
    (part,) = json.loads((tmp_path / 'pack' / 'pack.json').read_text())['parts']
    assert part['unreadable'] == ['b']
    packed = open_dataset('packed', tmp_path / 'pack' / 'a')
    assert [record['name'] for record in packed] == ['a', 'c']

    for name in 'ac':
        (tmp_path / 'image' / f'{name}.png').write_bytes(b'oops')
    with pytest.raises(MattingError, match=r'^a: all 3 photos are unreadable$'):
        make_pack(tmp_path / 'other', f'a=folders:{tmp_path}')
    assert not (tmp_path / 'other').exists()


@pytest.mark.parametrize(
    ('datasets', 'options', 'message'),
    [
        (['x'], {}, "dataset: expected NAME=KIND:ROOT, got 'x'"),
        (['x=csv'], {}, 'dataset: expected NAME=KIND:ROOT, the kind one of mmnet, .*unlabelled, g'),
        (['x=synthetic:1'], {}, "dataset: .* got 'x=synthetic:1'"),
        (['../x=rgba:.'], {}, "dataset: expected a name of .* got '../x'"),
        (['x=unlabelled:{}/image'], {'every': ['y=2']}, "every: .* the name of x, got 'y'"),
        (['x=unlabelled:{}/image'], {'every': ['x=0']}, "every: .* at least 1, got '0'"),
        (['x=unlabelled:{}/image'], {'licence': ['x=']}, "licence: expected NAME=VALUE, got 'x='"),
        (['x=unlabelled:{}/image'], {'licence': ['x=a', 'x=b']}, 'licence: .* for x, got two'),
        (['x=unlabelled:{}/image'], {'licence': ['x=@gone']}, r'gone: cannot be read \(No such'),
        (['x=unlabelled:{}/image'], {'licence': ['x=@{}/image/a.png']}, 'a.png: .* UTF-8'),
        (['x=unlabelled:{}/gone'], {}, 'gone: expected a folder of pictures, found nothing'),
        (['x=folders:{}', 'x=unlabelled:{}/image'], {},
         r'x: expected records of one kind, found \(image\) and \(image, alpha\)'),
    ],
)  # fmt: skip
def test_what_cannot_be_packed(tmp_path, datasets, options, message):
    save_pairs(tmp_path / 'image', tmp_path / 'alpha')
    datasets, *values = (
        [text.replace('{}', str(tmp_path)) for text in texts]
        for texts in (datasets, *options.values())
    )
    with pytest.raises(MattingError, match=message):
        make_pack(tmp_path / 'pack', *datasets, **dict(zip(options, values, strict=True)))
    assert sorted(path.name for path in tmp_path.iterdir()) == ['alpha', 'image']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'side': 0}, 'side: expected at least 1 pixel, got 0'),
        ({'photos': 'webp'}, "photos: expected 'jpeg' or 'png', got 'webp'"),
        ({'quality': 101}, 'quality: expected 1 to 100, got 101'),
    ],
)
def test_impossible_encoders(options, message):
    with pytest.raises(MattingError, match=message):
        Encoder(**options)


def test_a_pack_replaces_packs_alone(tmp_path):
    save(tmp_path / 'image' / 'a.png', picture(0))
    where = f'x=unlabelled:{tmp_path}/image'
    make_pack(tmp_path / 'pack', where)
    with pytest.raises(OutputError, match='pack: a pack lies there already; overwrite=True'):
        make_pack(tmp_path / 'pack', where)
    make_pack(tmp_path / 'pack', where.replace('x', 'y', 1), overwrite=True)
    assert not (tmp_path / 'pack' / 'x').exists()
    with pytest.raises(OutputError, match='image: the folder is not empty'):
        make_pack(tmp_path / 'image', where, overwrite=True)


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    save(tmp_path / 'image' / 'a.png', picture(0))

    class Full:
        def __init__(self, *_):
            pass

        def write(self, _):
            raise RuntimeError('write() failed: No space left on device; writing /x; at byte 9')

    monkeypatch.setattr('array_record.python.array_record_module.ArrayRecordWriter', Full)
    expected = re.escape('cannot be written (write() failed: No space left on device)')
    with pytest.raises(OutputError, match=expected):
        make_pack(tmp_path / 'pack', f'x=unlabelled:{tmp_path}/image')
    assert [path.name for path in tmp_path.iterdir()] == ['image']
