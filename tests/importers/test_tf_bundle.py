"""TensorFlow's checkpoints, as `tests/tf_bundles.py` writes them."""

import struct

import numpy as np
import pytest

from mattingjax import MattingError
from mattingjax.importers.tf_bundle import masked_crc32c
from mattingjax.importers.tf_checkpoint import read_tensorflow_tensors
from tests.tf_bundles import ARRAY, field, tensor_entry, write_bundle, write_index


def test_the_checksum_is_castagnolis():
    # The check value of CRC-32C, as the RFC 3720 lists it, masked as LevelDB does.
    value = 0xE3069283
    assert masked_crc32c(b'123456789') == ((value >> 15 | value << 17) + 0xA282EAD8) % 2**32


@pytest.mark.parametrize('name', ['model', 'a[1]b', 'b*?', '%41 #~', 'ä"\'{}', '-x'])
@pytest.mark.parametrize('per_block', [1, 2, 100])
def test_reads_what_was_written(tmp_path, name, per_block):
    entries = {b'a/weights': tensor_entry(), b'a/b': tensor_entry((3, 2)), b'a/Adam': b''}
    write_bundle(tmp_path / name, entries, per_block=per_block)
    read, ignored = read_tensorflow_tensors(tmp_path / name)
    np.testing.assert_array_equal(read['a/weights'], ARRAY)
    np.testing.assert_array_equal(read['a/b'], ARRAY.reshape(3, 2))
    assert ignored == ['a/Adam']


@pytest.mark.parametrize(
    ('entry', 'message'),
    [
        (tensor_entry((2**40,)), r'a: shape \(1099511627776,\) takes 4398046511104 bytes'),
        (tensor_entry((2**40,), size=2**42), 'with it the tensors take over 33554432 bytes'),
        (tensor_entry((2**62, 2**62)), 'takes 850705917302346158658436518579420528640* bytes'),
        (tensor_entry((0, 2**62, 2**62), size=0), r'a: an empty tensor, of shape \(0, 46\d+, 46'),
        (tensor_entry((0,), size=0), r'a: an empty tensor, of shape \(0,\)'),
        (tensor_entry((-2, 3)), 'its index is damaged'),
        (tensor_entry((1,) * 300), 'its index is damaged'),
        (tensor_entry(offset=2**40), 'has 0 of its 24 bytes'),
        (tensor_entry(offset=-8), 'its index is damaged'),
        (tensor_entry(size=0), 'takes 24 bytes, found 0'),
        (tensor_entry(checksum=1), 'do not have the checksum'),
        (tensor_entry(shard=7), r'data-00007-of-00001: No such file'),
        (tensor_entry(dtype=7), r'not a tensor; expected a checkpoint of TensorFlow 1'),
        (tensor_entry(dtype=2**40), 'not a tensor'),
        (tensor_entry(more=field(7, b'')), 'not a tensor'),
        (b'\x07', 'its index is damaged'),
    ],
)
def test_impossible_entries(tmp_path, entry, message):
    write_bundle(tmp_path / 'model', {b'a': entry})
    with pytest.raises(MattingError, match=message):
        read_tensorflow_tensors(tmp_path / 'model')


def test_impossible_indices(tmp_path):
    prefix = tmp_path / 'model'
    for entries, shards, message in (
        ({}, 2**30, 'tells of 1073741824 data files'),
        ({b'x' * 2_000: tensor_entry()}, 1, 'has an impossible entry'),
        ({f'{i}'.encode(): b'' for i in range(50_001)}, 1, 'has over 50000 entries'),
    ):
        write_bundle(prefix, entries, shards=shards)
        with pytest.raises(MattingError, match=message):
            read_tensorflow_tensors(prefix)
    write_bundle(prefix, {b'a': tensor_entry()})
    index = tmp_path / 'model.index'
    whole = index.read_bytes()
    for content, message in (
        (whole[:-1], 'has not the end of one'),
        (bytes([whole[0] ^ 1]) + whole[1:], 'does not have its own checksum'),
        (whole[-48:], 'is cut off'),
    ):
        index.write_bytes(content)
        with pytest.raises(MattingError, match=message):
            read_tensorflow_tensors(prefix)


@pytest.mark.parametrize('order', [[0] * 10_000, [0, 1, 1], [1, 0]])
def test_blocks_that_overlap_are_not_read_again(tmp_path, order):
    # Nothing but restarts: no entry that would be counted.
    blocks = [bytes(100_000) + struct.pack('<I', 25_000)] * 2
    write_index(tmp_path / 'model', blocks, order)
    with pytest.raises(MattingError, match='its index has blocks that overlap'):
        read_tensorflow_tensors(tmp_path / 'model')


def test_equals_tensorflows_own_reader(shared):
    tensorflow = pytest.importorskip('tensorflow')
    for width in ('0.5', '1.0'):
        prefix = shared / 'reference' / 'mmnet_tf1' / f'MMNetModel-w{width}-1'
        reader = tensorflow.train.load_checkpoint(str(prefix))
        tensors, _ = read_tensorflow_tensors(prefix)
        assert len(tensors) > 500
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, reader.get_tensor(name), strict=True)
