"""Tables of bulk matting and their parts: damaged files, and whole ones of hostile content."""

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.inference.bulk.addresses import open_store
from mattingjax.inference.bulk.table import PARTS, TABLE, Table, schema
from mattingjax.process.scratch import scratch_folder
from tests.fuzz.harness import MalformedError
from tests.fuzz.mutations import NUMBERS, TEXTS, mutate_bytes, replace_file

_SOURCE = '/photos'
_FILES = (TABLE, f'{PARTS}/00000000.parquet')


def write_samples(folder: Path) -> None:
    table = Table(open_store(folder), _SOURCE, 'settings')
    table.add([_row(i) for i in range(40)])
    table.compact()
    table = Table(open_store(folder), _SOURCE, 'settings')
    table.add([_row(i) for i in range(30, 50)])
    table.flush()


def _row(i: int) -> dict:
    photo = {'path': f'{i}.png', 'results': f'{i}', 'size': i, 'modified': i}
    outcome = {'width': i, 'height': i, 'seconds': 0.5, 'error': None if i % 3 else 'damaged'}
    return photo | outcome


def make_table(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    place = folder / 'place'
    shutil.copytree(samples, place)
    path, other = (place / _FILES[i] for i in rng.permutation(2))
    choice = rng.integers(5)
    if choice == 0:
        path.write_bytes(mutate_bytes(rng, path.read_bytes(), other.read_bytes()))
    elif choice == 1:
        _damage_footer(rng, path)
    elif choice == 2:
        replace_file(rng, path)
    elif choice == 3:
        _write_rows(rng, path)
    else:
        _write_bomb(rng, path)


def _damage_footer(rng: np.random.Generator, path: Path) -> None:
    """What the file says of itself is another, of the length that it should have or of another."""
    content = path.read_bytes()
    length = int.from_bytes(content[-8:-4], 'little')
    footer = mutate_bytes(rng, content[-8 - length : -8])
    size = int(rng.choice([0, 1, 2**31 - 1, 2**32 - 1])) if rng.integers(8) == 0 else len(footer)
    path.write_bytes(content[: -8 - length] + footer + size.to_bytes(4, 'little') + b'PAR1')


def _write_rows(rng: np.random.Generator, path: Path) -> None:
    """Hostile values, or nothing, in some columns, which may have another type or name."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns, rows = {}, int(rng.choice([0, 1, 7]))
    for field in schema():
        kind = field.type
        if rng.integers(12) == 0:
            kind = (pa.binary(), pa.large_string(), pa.int64(), pa.float64())[rng.integers(4)]
        name = str(rng.choice(['Path', 'size', 'é'])) if rng.integers(12) == 0 else field.name
        columns[name] = pa.array([_value(rng, kind) for _ in range(rows)], kind)
    table = pa.table(columns)
    if rng.integers(4) == 0:  # bytes that are no text
        data = pa.array([rng.bytes(4)] * rows, pa.binary())
        text = pa.StringArray.from_buffers(rows, *data.buffers()[1:])
        table = table.set_column(0, 'path', text)
    source = (_SOURCE.encode(), b'/other', b'\xff\xfe', b'x' * 100_000, b'a\nb')[rng.integers(5)]
    pq.write_table(table.replace_schema_metadata({b'mattingjax.input': source}), path)


def _value(rng: np.random.Generator, kind: Any) -> object:
    import pyarrow as pa

    if rng.integers(8) == 0:
        return None
    if pa.types.is_floating(kind):
        return float(rng.choice([0.5, np.nan, np.inf]))
    if pa.types.is_integer(kind) or pa.types.is_timestamp(kind):
        bits = 31 if kind == pa.int32() else 63
        return int(np.clip(NUMBERS[rng.integers(len(NUMBERS))], -(2.0**bits), 2**bits - 1024))
    text = TEXTS[rng.integers(len(TEXTS))].encode('utf-8', 'replace')
    return text if pa.types.is_binary(kind) else text.decode()


def _write_bomb(rng: np.random.Generator, path: Path) -> None:
    """Few bytes that become many: equal rows, long texts, many columns or many groups."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    choice, head = rng.integers(5), {b'mattingjax.input': _SOURCE.encode()}
    if choice == 0:
        names = [f'c{i}' for i in range(5_000)]
        pq.write_table(pa.table({name: pa.array([], pa.int8()) for name in names}), path)
        return
    rows, length = ((200_000, 10), (60_000, 50_000), (300, 1_000_000), (20, 20_000_000))[choice - 1]
    texts = pa.DictionaryArray.from_arrays(np.zeros(rows, np.int32), ['x' * length])
    values = {field.name: pa.nulls(rows, field.type) for field in schema()}
    for name in ('size', 'modified'):
        values[name] = pa.array(np.zeros(rows, np.int64)).cast(schema().field(name).type)
    values |= {name: pa.array(['x'] * rows) for name in ('results', 'settings')}
    # Without Arrow's own schema a dictionary is read as texts.
    values[str(rng.choice(['path', 'error']))] = texts
    table = pa.table(values).replace_schema_metadata(head)
    pq.write_table(table, path, compression='zstd', store_schema=False)


def use_table(folder: Path) -> None:
    import pyarrow.parquet as pq

    with scratch_folder() as scratch:
        place = scratch / 'place'
        shutil.copytree(folder / 'place', place, symlinks=True, copy_function=_copy)
        table = Table(open_store(place), _SOURCE, 'settings')
        table.recover()
        table.read_index()
        table.add([_row(50)])
        table.compact()
        _check(pq.read_table(place / TABLE))


def _copy(source: str, target: str) -> None:
    if Path(source).is_fifo():
        os.mkfifo(target)
    else:
        shutil.copyfile(source, target)


def _check(table: Any) -> None:
    paths = table['path'].to_pylist()
    if not table.schema.equals(schema()) or len(paths) != len(set(paths)):
        raise MalformedError('the table is not what it should be')
