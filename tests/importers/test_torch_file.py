import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest

from mattingjax.errors import WeightsError
from mattingjax.importers import torch_file
from mattingjax.importers.torch_file import (
    LEGACY_MAGIC,
    LEGACY_PROTOCOL,
    is_torch_file,
    read_torch_tensors,
)
from tests.torch_files import (
    TorchPickler,
    torch_call,
    torch_global,
    torch_tensor,
    write_state_dict,
    write_torch_file,
)

ARRAY = np.arange(6, dtype=np.float32).reshape(2, 3)


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'weights.ckpt'


def test_reads_what_was_written(path):
    tensors = {'a.weight': ARRAY, 'b': np.float32(3).reshape(())}
    write_state_dict(path, tensors)
    read = read_torch_tensors(path)
    assert list(read) == ['a.weight', 'b']
    np.testing.assert_array_equal(read['a.weight'], ARRAY)
    assert read['b'].shape == ()
    assert is_torch_file(path)


@pytest.mark.parametrize(
    ('kind', 'dtype'),
    [
        ('HalfStorage', np.float16),
        ('DoubleStorage', np.float64),
        ('LongStorage', np.int64),
        ('BFloat16Storage', ml_dtypes.bfloat16),
    ],
)
def test_reads_other_number_types(path, kind, dtype):
    array = ARRAY.astype(dtype)
    write_torch_file(path, {'a': torch_tensor('0', array, kind)}, {'0': array})
    read = read_torch_tensors(path)['a']
    assert read.dtype == dtype
    np.testing.assert_array_equal(read.astype(np.float32), ARRAY)


@pytest.mark.parametrize('wrapper', ['state_dict', 'model'])
def test_finds_the_state_dict_in_a_wrapper(path, wrapper):
    content = {'epoch': 3, wrapper: {'a': torch_tensor('0', ARRAY)}}
    write_torch_file(path, content, {'0': ARRAY})
    assert list(read_torch_tensors(path)) == ['a']


def test_reads_views_of_one_storage(path):
    def view(offset, size, stride):
        whole = torch_tensor('0', ARRAY)
        storage = whole.arguments[0]
        return torch_call(
            'torch._utils', '_rebuild_tensor_v2', storage, offset, size, stride, False, None
        )

    content = {'transposed': view(0, (3, 2), (1, 3)), 'last': view(3, (3,), (1,))}
    write_torch_file(path, content, {'0': ARRAY})
    read = read_torch_tensors(path)
    np.testing.assert_array_equal(read['transposed'], ARRAY.T)
    np.testing.assert_array_equal(read['last'], ARRAY[1])

    for offset, size, stride in [(4, (3,), (1,)), (0, (7,), (1,)), (0, (100,), (0,))]:
        write_torch_file(path, {'beyond': view(offset, size, stride)}, {'0': ARRAY})
        with pytest.raises(WeightsError, match='does not fit in its storage of 6 elements'):
            read_torch_tensors(path)


def write_legacy_file(path, storage: bytes, keys=('7',)):
    system = {'protocol_version': 1001, 'little_endian': True, 'type_sizes': {}}

    class LegacyPickler(TorchPickler):
        def persistent_id(self, obj):
            pid = super().persistent_id(obj)
            return pid and (*pid, None)

    with path.open('wb') as file:
        for part in (LEGACY_MAGIC, LEGACY_PROTOCOL, system):
            pickle.dump(part, file, protocol=2)
        LegacyPickler(file, protocol=2).dump({'a': torch_tensor('7', ARRAY)})
        pickle.dump(list(keys), file, protocol=2)
        file.write((6).to_bytes(8, 'little') + storage)


def test_reads_the_legacy_layout(path):
    write_legacy_file(path, ARRAY.tobytes())
    assert is_torch_file(path)
    np.testing.assert_array_equal(read_torch_tensors(path)['a'], ARRAY)


def test_a_cut_legacy_file_is_an_error(path):
    for length in (0, 4, 20):
        write_legacy_file(path, ARRAY.tobytes()[:length])
        with pytest.raises(WeightsError, match=f'storage 7 has {length} bytes, expected 24'):
            read_torch_tensors(path)
    write_legacy_file(path, b'', keys=[])
    with pytest.raises(WeightsError, match='expected the storages'):
        read_torch_tensors(path)


def test_a_small_file_does_not_unfold_into_a_large_memory(path):
    array = np.zeros(100_000, np.float32)
    tensor = torch_tensor('0', array)
    write_torch_file(path, {str(i): tensor for i in range(20)}, {'0': array})
    with pytest.raises(WeightsError, match='refused: its tensors take over 8 times its size'):
        read_torch_tensors(path)
    write_torch_file(path, {'a': tensor}, {'0': array}, zipfile.ZIP_DEFLATED)
    with pytest.raises(WeightsError, match=r'is compressed; PyTorch only stores'):
        read_torch_tensors(path)


def test_a_large_file_does_not_unfold_into_a_larger_memory(path, monkeypatch):
    monkeypatch.setattr(torch_file, '_MAX_VALUES', 500_000)
    array = np.zeros(100_000, np.float32)
    tensor = torch_tensor('0', array)
    write_torch_file(path, {'a': tensor}, {'0': array})
    assert read_torch_tensors(path)['a'].nbytes == 400_000
    write_torch_file(path, {'a': tensor, 'b': tensor}, {'0': array})
    with pytest.raises(WeightsError, match='or over 500000 bytes'):
        read_torch_tensors(path)
    large = np.zeros(125_001, np.float32)
    write_torch_file(path, {'a': torch_tensor('0', large)}, {'0': large})
    with pytest.raises(WeightsError, match='refused: its storages take over 500000 bytes'):
        read_torch_tensors(path)


def test_a_name_that_no_network_has(path):
    write_state_dict(path, {'a.' * 100: ARRAY})
    assert list(read_torch_tensors(path)) == ['a.' * 100]
    write_state_dict(path, {'a.' * 200_000: ARRAY})
    message = r': a\.a\.\S{20,70}: a name of 400000 characters, expected at most 200$'
    with pytest.raises(WeightsError, match=message):
        read_torch_tensors(path)


def test_a_name_with_control_characters_is_escaped(path):
    with path.open('wb') as file:
        TorchPickler(file, protocol=2).dump(torch_call('os', 'system\x1b[2J'))
    with pytest.raises(WeightsError) as caught:
        read_torch_tensors(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ('module', 'name'),
    [
        ('os', 'system'),
        ('posix', 'system'),
        ('builtins', 'eval'),
        ('torch', 'load'),
        ('torch._utils', '_rebuild_qtensor'),
        ('collections', 'OrderedDict.fromkeys'),
    ],
)
def test_refuses_to_call_anything_and_names_it(path, tmp_path, module, name):
    witness = tmp_path / 'witness'
    content = {'a': torch_tensor('0', ARRAY), 'b': torch_call(module, name, f'touch {witness}')}
    write_torch_file(path, content, {'0': ARRAY})
    with pytest.raises(WeightsError, match=f'refused: the pickle asks for {module}.{name}'):
        read_torch_tensors(path)
    assert not witness.exists()


def test_refuses_a_plain_pickle_that_calls(path, tmp_path):
    witness = tmp_path / 'witness'
    with path.open('wb') as file:
        TorchPickler(file, protocol=2).dump(torch_call('os', 'system', f'touch {witness}'))
    with pytest.raises(WeightsError, match=r'refused: the pickle asks for os\.system'):
        read_torch_tensors(path)
    assert not witness.exists()


def test_refuses_a_bare_name(path):
    write_torch_file(path, {'a': torch_global('subprocess', 'Popen')}, {})
    with pytest.raises(WeightsError, match=r'subprocess\.Popen'):
        read_torch_tensors(path)


def test_a_damaged_file_is_an_error(path):
    write_state_dict(path, {'a': ARRAY})
    content = path.read_bytes()
    for cut in (10, len(content) // 2, len(content) - 5):
        path.write_bytes(content[:cut])
        with pytest.raises(WeightsError, match=r'weights\.ckpt'):
            read_torch_tensors(path)


def test_a_storage_of_another_size_is_an_error(path):
    write_torch_file(path, {'a': torch_tensor('0', ARRAY)}, {'0': ARRAY[:1]})
    with pytest.raises(WeightsError, match='data/0 has 12 bytes, expected 24'):
        read_torch_tensors(path)


@pytest.mark.parametrize('content', [[1, 2], {'a': 1}, {}])
def test_no_tensor_is_an_error(path, content):
    write_torch_file(path, content, {})
    with pytest.raises(WeightsError, match=r'expected a dictionary|holds no tensor'):
        read_torch_tensors(path)


def test_another_zip_is_no_torch_file(path):
    with zipfile.ZipFile(path, 'w') as archive:
        archive.writestr('letter.txt', 'hello')
    assert not is_torch_file(path)
