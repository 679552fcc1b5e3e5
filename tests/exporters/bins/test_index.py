"""What an artefact wants, and the index that tells of it."""

import dataclasses
import functools
import hashlib
import json
import math
import operator
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporters.bins.evaluation import evaluate_bins
from exporters.bins.files import load_mask
from exporters.bins.index import INDEX_FILE, Index, Item, create_layout, read_index
from mattingjax.errors import ArtefactError, MattingError
from tests.exporters.bins.photos import NAMES, SIZE, write_manifest
from tests.fuzz.mutations import TEXTS


def test_any_size_needs_flags(tmp_path):
    artefact = write_manifest(tmp_path / 'export', shape=(0, 0, 0, 3))
    assert create_layout(artefact, height=64, width=96).input_shape == (1, 64, 96, 3)
    with pytest.raises(MattingError, match=r'height, width: both .* takes any size'):
        create_layout(artefact, height=64)


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        ({'shape': (2, SIZE, SIZE, 3)}, 'takes 2 photos at once'),
        ({'shape': (1, 0, 0, 3), 'resize_inside': True}, 'resizes photos itself'),
    ],
)
def test_artefacts_that_take_no_bins(tmp_path, changes, message):
    with pytest.raises(ArtefactError, match=message):
        create_layout(write_manifest(tmp_path / 'export', **changes))


def test_an_index_stays_in_its_folder(prepared):
    content = json.loads((prepared / 'index.json').read_text())
    content['items'][1]['name'] = '../b'
    (prepared / 'index.json').write_text(json.dumps(content))
    with pytest.raises(MattingError, match=r'index\.items\.1\.name: expected a plain file name'):
        read_index(prepared)


@pytest.mark.parametrize(
    ('field', 'value', 'message'),
    [
        ('layout.input_shape.1', '32', "layout.input_shape.1: expected int, got '32'"),
        ('layout.input_shape.1', 2**14 + 1, r'layout.input_shape: expected \[1, H, W, 3\]'),
        ('layout.mask_shape.1', 33, r'masks/.*\.bin: expected 4224 bytes \(float32 \[1, 33, 32'),
        ('layout.mask_shape', [1, 2**14, 2**14, 1], 'layout.mask_shape: .* 8388608 pixels at most'),
        ('layout.mean.0', math.nan, 'layout.mean.0: expected float, got nan'),
        ('layout.std.2', math.inf, 'layout.std.2: expected float, got inf'),
        ('layout.std.2', 0, 'layout.std: expected 1e-3 to 1e6 each'),
        ('layout.artefact_sha256', {'a': 1}, 'layout.artefact_sha256: expected file names and'),
        ('items.1.size.0', 0, 'items.1.size: expected height and width of 1 to'),
        ('items.1.size.0', 2**63, 'items.1.size: expected height and width of 1 to'),
        ('items.1.sources.image', 7, 'items.1.sources: expected paths'),
        ('items.1.mask_sha256', 'x', 'items.1.mask_sha256: expected 64 hexadecimal digits'),
        ('items', [], 'items: expected at least one'),
        ('items', functools.reduce(lambda x, _: [x], range(500), 0), 'nested at most 64 deep'),
    ],
)
def test_an_index_is_checked_field_by_field(prepared, field, value, message):
    content = json.loads((prepared / 'index.json').read_text())
    *path, last = [int(part) if part.isdigit() else part for part in field.split('.')]
    part = functools.reduce(operator.getitem, path, content)
    part[last] = value
    (prepared / 'index.json').write_text(json.dumps(content))
    outputs = prepared.parent / 'given'
    outputs.mkdir()
    for name in NAMES:
        (outputs / f'{name}_output_0.bin').write_bytes(bytes(SIZE * SIZE * 4))
    with pytest.raises(MattingError, match=message):
        evaluate_bins(outputs, prepared, read_index(prepared), channels=1)


def test_masks_are_alphas(prepared):
    index = read_index(prepared)
    item = index.items[0]
    for value, message in ((np.nan, 'no finite numbers'), (2, r'in \[0, 1\], found 2 to 2')):
        content = np.full(index.layout.mask_shape, value, np.float32).tobytes()
        (prepared / item.mask_file).write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        with pytest.raises(MattingError, match=message):
            load_mask(prepared, dataclasses.replace(item, mask_sha256=digest), index.layout)


PLAIN_NAMES = st.text(min_size=1, max_size=20).filter(lambda name: Path(name).name == name)
HASHES = st.text('0123456789abcdef', min_size=64, max_size=64)
LAYOUTS = st.builds(
    create_layout,
    height=st.integers(9, 200),
    width=st.integers(9, 200),
    dtype=st.sampled_from(['float32', 'uint8']),
)


@st.composite
def items(draw: st.DrawFn) -> Item:
    name = draw(PLAIN_NAMES)
    return Item(
        name=name,
        sources={'image': draw(st.text())},
        size=draw(st.tuples(st.integers(1, 2**20), st.integers(1, 2**20))),
        image_file=f'images/{name}.bin',
        image_sha256=draw(HASHES),
        mask_file=f'masks/{name}.bin',
        mask_sha256=draw(HASHES),
    )


def write_and_read(content: object) -> Index:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, INDEX_FILE).write_text(json.dumps(content))
        return read_index(Path(folder))


@given(LAYOUTS, st.lists(items(), min_size=1, max_size=3, unique_by=lambda item: item.name))
@settings(deadline=None, max_examples=50)
def test_any_index_comes_back_from_its_file(layout, some):
    index = Index(layout, tuple(some))
    assert write_and_read(index.to_dict()) == index


@given(items(), st.sampled_from(['image_file', 'mask_file']), st.sampled_from(TEXTS) | st.text())
@settings(deadline=None, max_examples=50)
def test_no_index_leads_to_files_elsewhere(item, field, text):
    content = Index(create_layout(height=16, width=16), (item,)).to_dict()
    content['items'][0][field] = f'{text}/{content["items"][0][field]}'
    with pytest.raises(MattingError, match=rf'index\.items\.0\.{field}: expected '):
        write_and_read(content)
