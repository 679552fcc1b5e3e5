"""Photos, and runs of bulk matting without Ray: its workers work in this process, one by one."""

import contextlib
import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip('ray', reason='the extra bulk is not installed')

import pyarrow as pa
import pyarrow.parquet as pq

from mattingjax.inference.bulk import matte_bulk, matting
from mattingjax.inference.bulk.cluster import Splitter
from mattingjax.inference.bulk.worker import Worker
from tests.inference.bulk import s3

NETWORK = {'path_or_name': 'mmnet_0.5', 'input_size': 32}


def write_photo(path, seed=0, side=40):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (side, side + 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def read_rows(folder):
    return pq.read_table(folder / 'table.parquet').to_pylist()


@pytest.fixture
def photos(tmp_path):
    """A folder with three photos, of which one lies in a sub-folder."""
    for i, name in enumerate(['a.png', 'b.png', 'sub/c.png']):
        write_photo(tmp_path / 'in' / name, i)
    return tmp_path / 'in'


@pytest.fixture
def meanwhile():
    """Functions that a run calls once, between its first batch (two photos) and the next."""
    return []


@pytest.fixture
def run(monkeypatch, meanwhile):
    """`matte_bulk` without Ray."""

    def run_workers(task, plan, workers):
        worker = Worker(task)
        for group in range(plan.groups):
            for row in Splitter(task.target, 2)({'group': group}):
                (found,) = worker(pa.Table.from_pylist([row])).to_pylist()
                yield json.loads(found['rows']), found['error']
                while meanwhile:
                    meanwhile.pop()()

    monkeypatch.setattr(matting, 'connected', lambda *_: contextlib.nullcontext(1))
    monkeypatch.setattr(matting, 'run_workers', run_workers)

    def run(source, target, *arguments, **options):
        return matte_bulk(source, target, *arguments, **{'network': NETWORK} | options)

    return run


@pytest.fixture
def bucket(monkeypatch):
    """A bucket of a stand-in for S3, and a function that makes addresses in it."""
    monkeypatch.setenv('AWS_ACCESS_KEY_ID', 'somebody')
    monkeypatch.setenv('AWS_SECRET_ACCESS_KEY', 'secret')
    monkeypatch.setenv('AWS_EC2_METADATA_DISABLED', 'true')
    with s3.serving('bucket') as (bucket, ending):
        yield bucket, lambda folder: f's3://bucket/{folder}{ending}'
