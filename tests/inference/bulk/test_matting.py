"""What a run does and leaves, without Ray."""

import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

import mattingjax
from mattingjax import MattingError
from mattingjax.errors import ImageError, OutputError
from mattingjax.images.compositing import Background
from mattingjax.inference.bulk import matting
from mattingjax.inference.bulk.addresses import open_store
from mattingjax.inference.bulk.folder import Folder
from mattingjax.inference.bulk.store import PRIVATE
from mattingjax.inference.bulk.table import Table
from mattingjax.inference.outputs import Outputs
from tests.inference.bulk.conftest import NETWORK, read_rows, write_photo
from tests.privileges import obeying_permissions


def stamps(folder):
    """When each file was written, but for the lock."""
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob('*')
        if path.is_file() and path.name != 'lock'
    }


def test_results_are_those_of_predict(run, photos, tmp_path):
    outputs = Outputs(('alpha', 'cutout', 'composite'), Background('white'))
    summary = run(photos, tmp_path / 'out', outputs)
    assert (summary.matted, summary.failed, summary.existing) == (3, 0, 0)
    predictor = mattingjax.create_predictor(**NETWORK)
    alpha = np.round(predictor(photos / 'sub' / 'c.png') * 255)
    found = np.asarray(Image.open(tmp_path / 'out' / 'sub' / 'c_alpha.png'), float)
    assert np.abs(found - alpha).max() <= 1  # another number of threads may round otherwise
    assert sorted(stamps(tmp_path / 'out')) == [
        'a_alpha.png', 'a_composite.png', 'a_cutout.png',
        'b_alpha.png', 'b_composite.png', 'b_cutout.png',
        'sub/c_alpha.png', 'sub/c_composite.png', 'sub/c_cutout.png',
        'table.parquet',
    ]  # fmt: skip


def test_the_table(run, photos, tmp_path):
    (photos / 'bad.jpg').write_bytes(b'no picture')
    (photos / 'notes.txt').touch()
    (photos / '.hidden.png').touch()
    summary = run(photos, tmp_path / 'out')
    assert (summary.matted, summary.failed, summary.others) == (3, 1, 1)
    table = pd.read_parquet(tmp_path / 'out' / 'table.parquet').set_index('path')
    assert sorted(table.index) == ['a.png', 'b.png', 'bad.jpg', 'sub/c.png']
    row = table.loc['sub/c.png']
    status = (photos / 'sub' / 'c.png').stat()
    assert (row['size'], row['width'], row['height']) == (status.st_size, 48, 40)
    assert row['modified'] == pd.Timestamp(status.st_mtime_ns, tz='UTC')
    assert row['results'] == 'sub/c'
    assert pd.isna(row['error'])
    assert row['seconds'] > 0
    assert table.loc['bad.jpg', 'error'] == 'not a picture in a known format'


def test_a_second_run_does_nothing(run, photos, tmp_path):
    (photos / 'bad.jpg').write_bytes(b'no picture')
    run(photos, tmp_path / 'out')
    before = stamps(tmp_path / 'out')
    summary = run(photos, tmp_path / 'out')
    assert (summary.matted, summary.existing, summary.failed_before) == (0, 3, 1)
    assert stamps(tmp_path / 'out') == before
    assert summary.describe() == (
        '0 matted, 0 failed, 3 there already, 1 failed before (--retry_failed)'
    )


def test_what_has_changed_is_done_again(run, photos, tmp_path):
    run(photos, tmp_path / 'out')
    before = stamps(tmp_path / 'out')
    write_photo(photos / 'a.png', 7, side=50)
    (tmp_path / 'out' / 'b_alpha.png').unlink()
    write_photo(photos / 'd.png', 8)
    (photos / 'sub' / 'c.png').unlink()
    summary = run(photos, tmp_path / 'out')
    assert (summary.matted, summary.existing) == (3, 0)
    rows = {row['path']: row for row in read_rows(tmp_path / 'out')}
    assert sorted(rows) == ['a.png', 'b.png', 'd.png']
    assert rows['a.png']['height'] == 50
    after = stamps(tmp_path / 'out')
    assert after['a_alpha.png'] > before['a_alpha.png']
    assert after['sub/c_alpha.png'] == before['sub/c_alpha.png']  # nothing is ever removed


def test_failures_are_tried_again_when_asked(run, photos, tmp_path):
    (photos / 'bad.jpg').write_bytes(b'no picture')
    run(photos, tmp_path / 'out')
    assert run(photos, tmp_path / 'out', retry_failed=True).failed == 1
    assert len(read_rows(tmp_path / 'out')) == 4
    write_photo(photos / 'bad.jpg')
    summary = run(photos, tmp_path / 'out')  # it has changed
    assert (summary.matted, summary.failed_before) == (1, 0)
    assert all(row['error'] is None for row in read_rows(tmp_path / 'out'))


@pytest.mark.parametrize(
    'options',
    [
        {'outputs': Outputs(('alpha',), refine=True)},
        {'network': NETWORK | {'input_size': 48}},
        {'network': NETWORK | {'path_or_name': 'mmnet'}},
    ],
)
def test_other_settings_are_other_results(run, photos, tmp_path, options):
    run(photos, tmp_path / 'out')
    assert run(photos, tmp_path / 'out', **options).matted == 3
    assert len(read_rows(tmp_path / 'out')) == 3


def test_another_background_is_another_result(run, photos, tmp_path):
    for colour, matted in (('white', 3), ('white', 0), ('red', 3)):
        outputs = Outputs(('composite',), Background(colour))
        assert run(photos, tmp_path / 'out', outputs).matted == matted


def test_a_run_that_is_killed_goes_on(run, photos, tmp_path, monkeypatch):
    """Rows of a killed run lie in parts; those of the batch in work are lost, and done again."""

    def die(rows, summary, seconds):
        raise KeyboardInterrupt

    count = matting._count
    monkeypatch.setattr(matting, '_count', die)
    monkeypatch.setattr('mattingjax.inference.bulk.table._ROWS', 1)
    with pytest.raises(KeyboardInterrupt):
        run(photos, tmp_path / 'out')
    assert not (tmp_path / 'out' / 'table.parquet').exists()
    monkeypatch.setattr(matting, '_count', count)
    summary = run(photos, tmp_path / 'out')
    assert (summary.matted, summary.existing) == (1, 2)
    assert sorted(row['path'] for row in read_rows(tmp_path / 'out')) == [
        'a.png', 'b.png', 'sub/c.png'
    ]  # fmt: skip


def test_extensions_stay_where_results_would_be_the_same(run, photos, tmp_path):
    write_photo(photos / 'a.bmp')
    assert run(photos, tmp_path / 'out').matted == 4
    names = {row['path']: row['results'] for row in read_rows(tmp_path / 'out')}
    assert names == {
        'a.png': 'a.png', 'a.bmp': 'a.bmp', 'b.png': 'b', 'sub/c.png': 'sub/c'
    }  # fmt: skip


def test_names_that_no_result_can_have(run, photos, tmp_path):
    write_photo(photos / ('n' * 250 + '.png'))
    with open(os.fsencode(photos) + b'/\xff.png', 'wb') as file:
        file.write((photos / 'a.png').read_bytes())
    summary = run(photos, tmp_path / 'out')
    assert (summary.matted, summary.failed) == (3, 2)
    errors = {row['path']: row['error'] for row in read_rows(tmp_path / 'out')}
    assert errors['\\xff.png'] == 'expected a name of UTF-8 characters'
    assert errors['n' * 250 + '.png'] == 'the name is too long for that of a result'
    assert run(photos, tmp_path / 'out').failed_before == 2


def test_a_folder_that_no_table_can_name(run, photos, tmp_path):
    os.mkdir(folder := os.fsencode(photos) + b'/\xff')
    shutil.copy(photos / 'a.png', folder + b'/a.png')
    assert run(photos, tmp_path / 'out').failed == 1
    errors = {row['path']: row['error'] for row in read_rows(tmp_path / 'out')}
    assert errors['\\xff/a.png'] == 'expected a name of UTF-8 characters'


def test_folders_with_the_names_of_results(run, photos, tmp_path):
    for folder in ('a_alpha.png', 'table.parquet', 'b_cutout.png'):
        write_photo(photos / folder / 'x.png')
    assert run(photos, tmp_path / 'out').failed == 2
    errors = {row['path']: row['error'] for row in read_rows(tmp_path / 'out')}
    assert errors.pop('a.png') == 'a folder beside it has the name of a result'
    assert errors.pop('table.parquet/x.png') == 'the folder has the name of the table'
    assert set(errors.values()) == {None}
    assert run(photos, tmp_path / 'out').failed_before == 2


def test_photos_of_another_century(run, photos, tmp_path):
    os.utime(photos / 'a.png', ns=(10**19, 10**19))
    os.utime(photos / 'b.png', ns=(-(10**19), -(10**19)))
    assert run(photos, tmp_path / 'out').matted == 3
    assert run(photos, tmp_path / 'out').existing == 3


def test_the_output_is_removed_meanwhile(run, photos, tmp_path, meanwhile):
    def remove():
        shutil.rmtree(tmp_path / 'out' / PRIVATE)
        (tmp_path / 'out' / 'a_alpha.png').unlink()

    meanwhile.append(remove)
    with pytest.raises(MattingError):
        run(photos, tmp_path / 'out')
    summary = run(photos, tmp_path / 'out')
    assert summary.failed == 0
    assert summary.matted + summary.existing == 3
    assert (tmp_path / 'out' / 'a_alpha.png').is_file()


def test_photos_may_not_be_read_any_more(run, photos, tmp_path, meanwhile):
    meanwhile.append(lambda: (photos / 'sub').chmod(0))
    with obeying_permissions():
        assert run(photos, tmp_path / 'out').failed == 1
        (row,) = [row for row in read_rows(tmp_path / 'out') if row['error'] is not None]
    assert (row['path'], row['error']) == ('sub/c.png', 'cannot be read (Permission denied)')
    (photos / 'sub').chmod(0o755)
    check_the_last_is_matted(run(photos, tmp_path / 'out', retry_failed=True))


def test_results_may_not_be_written_any_more(run, photos, tmp_path, meanwhile):
    meanwhile.append(lambda: (tmp_path / 'out').chmod(0o555))
    message = r'out.*: cannot be written \(Permission denied\)'
    with obeying_permissions(), pytest.raises(OutputError, match=message):
        run(photos, tmp_path / 'out')
    (tmp_path / 'out').chmod(0o755)
    check_the_last_is_matted(run(photos, tmp_path / 'out'))


def check_the_last_is_matted(summary):
    assert (summary.matted, summary.existing, summary.failed) == (1, 2, 0)


def test_results_within_the_photos_are_no_photos(run, photos):
    assert run(photos, photos / 'out').matted == 3
    assert run(photos, photos / 'out').existing == 3


def test_bad_places(run, photos, tmp_path):
    for target in (photos, photos.parent):
        with pytest.raises(OutputError, match='expected a folder that does not hold the photos'):
            run(photos, target)
    with pytest.raises(MattingError, match='nothing: no such folder'):
        run(tmp_path / 'nothing', tmp_path / 'out')
    with pytest.raises(MattingError, match=r'a\.png: not a folder'):
        run(photos / 'a.png', tmp_path / 'out')
    assert not (tmp_path / 'out').exists()
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ImageError, match='empty: holds no picture'):
        run(tmp_path / 'empty', tmp_path / 'out')
    with pytest.raises(MattingError, match='workers: expected at least 1, got 0'):
        run(photos, tmp_path / 'out', workers=0)


def test_other_photos_need_another_folder(run, photos, tmp_path):
    run(photos, tmp_path / 'out')
    shutil.copytree(photos, tmp_path / 'in2')
    with pytest.raises(OutputError, match=r'out: holds the results of the photos in .*/in;'):
        run(tmp_path / 'in2', tmp_path / 'out')
    with pytest.raises(MattingError, match='in3: no such folder'):  # rather a typing error
        run(tmp_path / 'in3', tmp_path / 'out')


@pytest.mark.parametrize('content', [b'', b'PAR1 no table'])
def test_a_damaged_table(run, photos, tmp_path, content):
    (tmp_path / 'out').mkdir()
    (tmp_path / 'out' / 'table.parquet').write_bytes(content)
    with pytest.raises(OutputError, match=r'table\.parquet cannot be read'):
        run(photos, tmp_path / 'out')


def rewrite(path, change):
    table = change(pq.read_table(path))
    pq.write_table(table, path)


def without_a_value(table, name):
    place = table.schema.get_field_index(name)
    return table.set_column(place, name, pa.nulls(len(table), table.schema.field(name).type))


def with_bytes_for_text(table, name):
    data = pa.array([b'\xff'] * len(table), pa.binary())
    place = table.schema.get_field_index(name)
    text = pa.StringArray.from_buffers(len(table), *data.buffers()[1:])
    return table.set_column(place, name, text)


@pytest.mark.parametrize('name', ['path', 'results', 'settings'])
@pytest.mark.parametrize('change', [without_a_value, with_bytes_for_text])
def test_a_table_without_values(run, photos, tmp_path, name, change):
    run(photos, tmp_path / 'out')
    rewrite(tmp_path / 'out' / 'table.parquet', lambda table: change(table, name))
    with pytest.raises(OutputError, match=r'table\.parquet cannot be read'):
        run(photos, tmp_path / 'out')


def test_a_table_of_an_input_that_is_no_text(run, photos, tmp_path):
    run(photos, tmp_path / 'out')
    metadata = {b'mattingjax.input': b'\xff\n'}
    rewrite(tmp_path / 'out' / 'table.parquet', lambda t: t.replace_schema_metadata(metadata))
    with pytest.raises(OutputError, match=r'the photos in \\xff'):
        run(photos, tmp_path / 'out')


def test_each_flipped_bit_in_the_table_is_told_or_without_effect(run, photos, tmp_path):
    run(photos, tmp_path / 'out')
    path = tmp_path / 'out' / 'table.parquet'
    whole, rows = path.read_bytes(), read_rows(tmp_path / 'out')
    for place in range(0, len(whole), max(1, len(whole) // 200)):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        table = Table(open_store(tmp_path / 'out'), str(photos), '')
        try:
            table.recover()
            index = table.read_index()
        except OutputError:
            continue
        assert index.rows == len(rows)


def test_a_table_that_is_a_pipe(run, photos, tmp_path):
    (tmp_path / 'out').mkdir()
    os.mkfifo(tmp_path / 'out' / 'table.parquet')
    with pytest.raises(OutputError, match=r'table\.parquet cannot be read \(expected a file'):
        run(photos, tmp_path / 'out')


def test_from_a_bucket_to_a_bucket(run, photos, bucket):
    found, address = bucket
    for path in photos.rglob('*.png'):
        found.put(f'in/{path.relative_to(photos).as_posix()}', path.read_bytes())
    found.put('in/../evil.png', b'')
    found.put('in/bad.jpg', b'no picture')
    summary = run(address('in'), address('out'))
    assert (summary.matted, summary.failed) == (3, 1)
    assert [name for name in found.names() if not name.startswith('in/')] == [
        'out/a_alpha.png', 'out/b_alpha.png', 'out/sub/c_alpha.png', 'out/table.parquet'
    ]  # fmt: skip
    earlier = dict(found.objects)
    assert run(address('in'), address('out')).existing == 3
    assert {name: found.objects[name] for name in earlier if not name.endswith('/')} == {
        name: content for name, content in earlier.items() if not name.endswith('/')
    }
    found.put('in/a.png', (photos / 'b.png').read_bytes())  # of another time
    assert run(address('in'), address('out')).matted == 1


def test_folders_are_listed_once(run, photos, tmp_path, monkeypatch):
    """Each may hold millions of results."""
    run(photos, tmp_path / 'out')
    listed, list_folder = [], Folder.list

    def count(store, folder):
        listed.append(folder)
        return list_folder(store, folder)

    monkeypatch.setattr(Folder, 'list', count)
    assert run(photos, tmp_path / 'out').existing == 3
    assert sorted(listed) == ['', '', f'{PRIVATE}/parts', 'sub', 'sub']  # of photos, of results


def test_from_a_bucket_to_a_folder(run, photos, bucket, tmp_path):
    found, address = bucket
    found.put('in/x/a.png', (photos / 'a.png').read_bytes())
    assert run(address('in'), tmp_path / 'out').matted == 1
    assert [row['path'] for row in read_rows(tmp_path / 'out')] == ['x/a.png']
    assert (tmp_path / 'out' / 'x' / 'a_alpha.png').is_file()


def test_more_photos_than_a_group(run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr('mattingjax.inference.bulk.plan.GROUP', 2)
    for i in range(5):
        shutil.copy(photos / 'a.png', photos / f'x{i}.png')
    assert run(photos, tmp_path / 'out').matted == 8
    assert len({row['path'] for row in read_rows(tmp_path / 'out')}) == 8


def test_nothing_private_is_left(run, photos, tmp_path):
    run(photos, tmp_path / 'out')
    assert [path.name for path in (tmp_path / 'out' / PRIVATE).iterdir()] == ['lock']
    assert Path(tmp_path / 'out' / 'table.parquet').is_file()
    assert pq.read_schema(tmp_path / 'out' / 'table.parquet').metadata[
        b'mattingjax.input'
    ].decode() == str(photos)
