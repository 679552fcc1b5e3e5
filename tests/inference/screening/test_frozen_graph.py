"""Frozen graphs that would do more than compute."""

import contextlib
import sys

import numpy as np
import pytest

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening.frozen_graph import (
    ALLOWED_OPS,
    _graph_message,
    check_frozen_graph,
)
from mattingjax.inference.sessions import create_session


@pytest.fixture
def graph():
    """A placeholder, a constant and their sum; this much is written without TensorFlow."""
    graph = _graph_message()()
    for name, op in (('input', 'Placeholder'), ('one', 'Const'), ('output', 'AddV2')):
        graph.node.add(name=name, op=op)
    value = graph.node[1].attr.add(key='value').value.tensor
    value.dtype = 1
    value.shape.dim.add(size=3)
    return graph


@pytest.fixture
def check(tmp_path):
    def check(graph):
        path = tmp_path / 'model.pb'
        path.write_bytes(graph.SerializeToString())
        check_frozen_graph(path)

    return check


@pytest.mark.parametrize(
    'op',
    ['WriteFile', 'ReadFile', 'PyFunc', 'PartitionedCall', 'While', 'StatelessIf', 'XlaCallModule',
     'Fill', 'VarHandleOp', 'LoopCond', 'MyOp', ''],
)  # fmt: skip
def test_a_plain_graph_is_taken_and_other_ops_are_named(graph, check, op):
    check(graph)
    graph.node.add(name='strange', op=op)
    with pytest.raises(ArtefactError, match=f'model.pb: strange: {op} is no op of a matting'):
        check(graph)


def test_functions_are_named(graph, check):
    graph.library.function.add().signature.name = 'hidden'
    with pytest.raises(ArtefactError, match='hidden: a function; a frozen graph has none'):
        check(graph)


def test_attributes_that_are_functions_are_named(graph, check):
    graph.node[2].attr.add(key='f').value.func.SetInParent()
    with pytest.raises(ArtefactError, match='output: f: a function'):
        check(graph)


@pytest.mark.parametrize(
    ('dtype', 'sizes', 'message'),
    [
        (1, [4 * 10**9], 'expected constants of at most 1 GB, found 14.9 GB declared'),
        (1, [2**62, 2**62], 'expected constants of at most 1 GB'),
        (1, [-1], r'one: value: expected a constant of known sizes, found \[-1\]'),
        (7, [1], 'one: value: expected a constant of numbers, found type 7'),
    ],
)
def test_constants_are_numbers_of_a_sane_size(graph, check, dtype, sizes, message):
    tensor = graph.node[1].attr[0].value.tensor
    tensor.dtype = dtype
    tensor.shape.dim[0].size = sizes[0]
    for size in sizes[1:]:
        tensor.shape.dim.add(size=size)
    with pytest.raises(ArtefactError, match=message):
        check(graph)


@pytest.mark.parametrize(
    ('op', 'inputs', 'message'),
    [
        ('Reshape', ['input', 'sum'], 'last: Reshape: expected a constant as input 1, found sum'),
        ('StridedSlice', ['input', 'one', 'one', 'sum'], 'expected a constant as input 3'),
        ('ConcatV2', ['input', 'input', 'sum', '^one'], 'a constant as input -1, found sum'),
        ('MatMul', ['one', 'sum'], 'last: MatMul of constants only'),
        ('MatMul', ['one', 'sum', '^input'], 'last: MatMul of constants only'),
        ('Reshape', ['input', 'one:0'], None),
        ('ConcatV2', ['input', 'input', 'one', '^sum'], None),
        ('MatMul', ['product', 'one'], None),
    ],
)
def test_what_readers_compute_as_they_load(graph, check, op, inputs, message):
    graph.node.add(name='last', op=op, input=inputs)
    graph.node.add(name='sum', op='AddV2', input=['one', 'one'])
    graph.node.add(name='product', op='Mul', input=['sum', 'input:0'])
    with pytest.raises(ArtefactError, match=message) if message else contextlib.nullcontext():
        check(graph)


def test_many_empty_parts_are_not_unfolded(tmp_path):
    (tmp_path / 'model.pb').write_bytes(b'\x0a\x00' * 2_200_000)
    with pytest.raises(
        ArtefactError, match=r'model.pb: .*at most 4194304 bytes beside its weights'
    ):
        check_frozen_graph(tmp_path / 'model.pb')


def test_names_are_unique(graph, check):
    graph.node.add(name='one', op='AddV2')
    with pytest.raises(ArtefactError, match='a name of its own for each of 4 nodes'):
        check(graph)


def test_without_protobuf_that_is_said(graph, check, monkeypatch):
    _graph_message.cache_clear()
    monkeypatch.setitem(sys.modules, 'google.protobuf', None)
    with pytest.raises(ImportError, match=r'model\.pb: reading it needs the package protobuf'):
        check(graph)


@pytest.mark.parametrize('runtime', ['tensorflow', 'openvino'])
def test_no_runtime_gets_it(graph, tmp_path, monkeypatch, runtime):
    graph.node.add(name='strange', op='WriteFile')
    path = tmp_path / 'model.pb'
    path.write_bytes(graph.SerializeToString())
    monkeypatch.setattr('mattingjax.inference.sessions.tensorflow_session.import_tensorflow', None)
    if runtime == 'openvino':
        pytest.importorskip('openvino')
        monkeypatch.setattr('openvino.Core', None)
    with pytest.raises(ArtefactError, match='strange: WriteFile'):
        create_session(path, runtime)


def test_what_is_read_is_what_tensorflow_writes():
    pytest.importorskip('tensorflow')
    import tensorflow as tf

    graph = tf.Graph()
    with graph.as_default():
        tf.constant([[1.0, 2.0]], name='two')
        tf.autograph.experimental.do_not_convert(tf.function)(lambda x: x + 1)(1.0)
    written = graph.as_graph_def()
    written.node[0].attr['f'].func.name = 'called'
    written.node[0].attr['fs'].list.func.add().name = 'called'
    read = _graph_message().FromString(written.SerializeToString())
    assert [(node.name, node.op) for node in read.node] == [
        (node.name, node.op) for node in written.node
    ]
    values = {attribute.key: attribute.value for attribute in read.node[0].attr}
    assert [dimension.size for dimension in values['value'].tensor.shape.dim] == [1, 2]
    assert values['value'].tensor.dtype == 1
    assert values['f'].HasField('func')
    assert len(values['fs'].list.func) == 1
    names = [function.signature.name for function in written.library.function]
    assert names
    assert [function.signature.name for function in read.library.function] == names


def test_no_allowed_op_has_side_effects():
    pytest.importorskip('tensorflow')
    from tensorflow.python.framework import op_def_registry

    for name in ALLOWED_OPS:
        op = op_def_registry.get(name)
        assert not op.is_stateful, name
        assert all(attribute.type not in ('func', 'list(func)') for attribute in op.attr), name


def test_the_originals_graph_is_taken(shared):
    check_frozen_graph(shared / 'reference' / 'mmnet_tf1' / 'mmnet_w1.0_reference.pb')


def test_the_originals_graph_runs(shared):
    """Its fused batch normalisations have an output whose size only running them would tell."""
    pytest.importorskip('tensorflow')
    folder = shared / 'reference' / 'mmnet_tf1'
    known = np.load(folder / 'MMNetModel-w1.0_io.npz')
    session = create_session(folder / 'mmnet_w1.0_reference.pb', 'tensorflow')
    found = session(known['image'].astype(np.float32))
    np.testing.assert_allclose(found, known['prob'], atol=1e-5)
