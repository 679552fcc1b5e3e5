"""ONNX files whose many small parts would unfold to much memory."""

import numpy as np
import pytest

onnx = pytest.importorskip('onnx')
from onnx import TensorProto, helper  # noqa: E402

from mattingjax.errors import ArtefactError  # noqa: E402
from mattingjax.inference.screening import protobuf, read_onnx  # noqa: E402
from mattingjax.inference.screening.protobuf import MAX_STRUCTURE  # noqa: E402
from tests.inference.screening.onnx_models import END, MEAN, numbers, write  # noqa: E402


def length(content):
    size = len(content)
    return bytes([size & 127 | 128, size >> 7 & 127 | 128, size >> 14 & 127 | 128, size >> 21])


MANY = 2_200_000 * b'\x0a\x00'  # empty parts: a hundred bytes of memory for two


@pytest.mark.parametrize('parts', [b'\x3a' + length(MANY) + MANY, MANY.replace(b'\x0a', b'\x42')])
def test_many_empty_parts_are_not_unfolded(tmp_path, monkeypatch, parts):
    monkeypatch.setattr('onnx.ModelProto', None)
    (tmp_path / 'model.onnx').write_bytes(b'\x08\x08' + parts)
    with pytest.raises(ArtefactError, match=r'model.onnx: .*at most 4194304 bytes beside its'):
        read_onnx(tmp_path / 'model.onnx')


def test_many_nodes_are_refused(tmp_path):
    with pytest.raises(ArtefactError, match='expected at most 16384 nodes, found 20000'):
        read_onnx(write(tmp_path / 'model.onnx', [END] * 20000))


def test_training_is_refused(tmp_path):
    path = write(tmp_path / 'model.onnx', [MEAN, END])
    path.write_bytes(path.read_bytes() + b'\xa2\x01\x00')
    with pytest.raises(ArtefactError, match='expected no training_info, found 1'):
        read_onnx(path)


def test_weights_do_not_count_as_structure(tmp_path):
    large = numbers('big', np.zeros((1, 32, 32, 2000)), np.float32)
    node = helper.make_node('Constant', [], ['large'], value=large)
    nodes = [MEAN, END, node]
    floats = TensorProto(
        name='f', data_type=TensorProto.FLOAT, dims=[2**21], float_data=[0] * 2**21
    )
    model = read_onnx(write(tmp_path / 'model.onnx', nodes, [large, floats]))
    assert model.ByteSize() > 3 * MAX_STRUCTURE


def test_numbers_may_be_integers_of_varying_length(tmp_path, monkeypatch):
    """As ONNX has half precision where it is not raw."""
    half = helper.make_tensor('big', TensorProto.FLOAT16, [4000], np.full(4000, 0.5, np.float16))
    assert len(half.int32_data) == 4000
    size = len(half.SerializeToString())
    nodes = [MEAN, helper.make_node('Cast', ['big'], ['cast'], to=TensorProto.FLOAT),
             helper.make_node('ReduceMean', ['cast'], ['small'], keepdims=0),
             helper.make_node('Add', ['mean', 'small'], ['output'])]  # fmt: skip
    path = write(tmp_path / 'model.onnx', nodes, [half])
    rest = path.stat().st_size - size
    monkeypatch.setattr(protobuf, 'MAX_STRUCTURE', rest + size // 16 + 20)
    read_onnx(path)
    monkeypatch.setattr(protobuf, 'MAX_STRUCTURE', size // 16 - 20)  # but not without end
    with pytest.raises(ArtefactError, match='beside its weights'):
        read_onnx(path)
