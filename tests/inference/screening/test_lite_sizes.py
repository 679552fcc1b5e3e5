"""LiteRT models that would take much memory or time, however small their files are."""

import copy
import functools

import numpy as np
import pytest

pytest.importorskip('ai_edge_litert')
pytest.importorskip('flatbuffers')

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening import lite_model, read_lite_model
from tests.inference.screening.lite_models import Builder, brightness, refuse


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'model.tflite'


def test_names_are_short(path):
    builder = brightness()
    builder.graph.tensors[0].name = b'x' * 4097
    refuse(path, builder, 'a list of 4097, expected at most 4096')


@pytest.mark.parametrize(
    ('entries', 'message'),
    [
        ([1, 1], 'expected metadata with a buffer of its own for each entry'),
        (range(65), 'a list of 65, expected at most 64'),
    ],
)
def test_metadata_is_copied_once(path, entries, message):
    builder = brightness()
    schema = builder.schema
    builder.model.metadata = [
        schema.MetadataT(name=b'%d' % i, buffer=buffer) for i, buffer in enumerate(entries)
    ]
    refuse(path, builder, message)


def pack_once(part):
    """Has a part of a model written once, however often it occurs."""
    pack = functools.cache(part.Pack)
    part.Pack = pack
    return part


def test_parts_lie_beside_each_other(path):
    """A thousand tensors of one name, one shape and one list of scales."""
    builder = brightness()
    builder.scale(0, [1.0])
    tensor = pack_once(copy.copy(builder.graph.tensors[0]))
    tensor.name = b'x' * 1000
    builder.graph.tensors += [tensor] * 1000
    content = builder.pack(4)
    assert len(content) < 10_000
    with pytest.raises(ArtefactError, match=r'a LiteRT model: .*parts that lie on each other'):
        read_lite_model(content)


def test_weights_count_for_each_convolution(path):
    """Kernels keep their weights in an order of their own."""
    builder = Builder((1, 1, 1, 1000))
    kernel = builder.constant(np.zeros((1000, 1, 1, 1000)))
    bias = builder.constant(np.zeros(1000))
    last = 0
    for _ in range(600):
        last = builder.add(
            'CONV_2D', [last, kernel, bias], (1, 1, 1, 1000), 'Conv2D', strideW=1, strideH=1
        )
    refuse(path, builder, r'would need 2\.24 GB of memory, expected at most 2 GB')


def test_a_lack_of_memory_is_told(monkeypatch):
    def fail(*_):
        raise MemoryError

    monkeypatch.setattr(lite_model, 'root_table', fail)
    with pytest.raises(ArtefactError, match='a LiteRT model: it would need too much memory'):
        read_lite_model(brightness().pack())


def test_what_would_take_too_much_is_refused(path):
    builder = brightness()
    size = builder.constant([30_000, 30_000], 'INT32')
    builder.add('RESIZE_BILINEAR', [4, size], (1, 30_000, 30_000, 1), 'ResizeBilinear')
    refuse(path, builder, r'resize_bilinear6: 3\.35 GB of memory')


def test_endless_arithmetic(path):
    builder = brightness()
    pads = builder.constant([[0, 0], [500, 500], [500, 500], [0, 0]], 'INT32')
    shape = (1, 1032, 1032, 1)
    x = builder.add('PAD', [4, pads], shape, 'Pad')
    kernel = builder.constant(np.zeros((1, 1000, 1000, 1), np.float32))
    bias = builder.constant(np.zeros(1, np.float32))
    one = {'strideW': 1, 'strideH': 1, 'depthMultiplier': 1}
    builder.add('DEPTHWISE_CONV_2D', [x, kernel, bias], shape, 'DepthwiseConv2D', **one)
    refuse(path, builder, r'G multiply-adds, most of them in .*DEPTHWISE_CONV_2D')
