"""LiteRT models that are more than a plain network, or whose numbers contradict each other."""

import contextlib

import numpy as np
import pytest

pytest.importorskip('ai_edge_litert')
pytest.importorskip('flatbuffers')

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening import list_lite_steps, read_lite_model
from mattingjax.inference.sessions import create_session
from tests.inference.screening.lite_models import SHAPE, brightness, network, refuse


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'model.tflite'


def change_options(number, **values):
    def change(builder):
        options = builder.graph.operators[number].builtinOptions
        assert set(values) <= set(vars(options))
        vars(options).update(values)

    return change


def change_tensor(name, **values):
    def change(builder):
        (tensor,) = (item for item in builder.graph.tensors if item.name.decode() == name)
        vars(tensor).update(values)

    return change


def change_constant(old, new):
    def change(builder):
        old_bytes, new_bytes = (np.int32(values).view(np.uint8) for values in (old, new))
        (buffer,) = (
            item
            for item in builder.model.buffers
            if item.data is not None and item.data.tobytes() == old_bytes.tobytes()
        )
        buffer.data = new_bytes

    return change


def change_code(number, code, **values):
    def change(builder):
        codes = builder.model.operatorCodes[number]
        codes.builtinCode, codes.deprecatedBuiltinCode = code, min(code, 127)
        vars(codes).update(values)

    return change


def change_wiring(number, **values):
    def change(builder):
        vars(builder.graph.operators[number]).update(values)

    return change


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (change_code(0, 32, customCode=b'FlexWriteFile'), 'a field of number 1'),
        (change_code(0, 32), 'operation 32 is none of a matting network'),  # custom
        (change_code(0, 118), 'operation 118 is none'),  # If
        (change_code(0, 119), 'operation 119 is none'),  # While
        (change_code(0, 142), 'operation 142 is none'),  # a variable
        (change_options(0, strideW=0), r'conv_2d.* expected steps of 1 to 1024, found \[2, 0\]'),
        (change_options(0, strideW=2**31 - 1), 'expected steps'),
        (change_options(0, dilationHFactor=0), 'expected dilations'),
        (change_options(0, padding=7), 'expected a padding of 0 or 1'),
        (change_options(0, fusedActivationFunction=5), 'expected an activation'),
        (change_options(2, depthMultiplier=2), r'expected a kernel \[1, H, W, 8\]'),
        (change_options(4, filterWidth=99), 'expected a smaller window'),
        (change_options(7, fusedActivationFunction=1), 'expected no activation, found 1'),
        (change_options(7, axis=4), r'expected an axis of \[1, 16, 16, 4\], found 4'),
        (change_wiring(0, builtinOptions=None), 'expected steps'),
        (change_wiring(0, builtinOptionsType=2), 'expected options of type 1, found 2'),
        (change_wiring(0, inputs=[0]), 'conv_2d.*1 inputs and 1 outputs'),
        (change_wiring(2, inputs=[5, 6]), 'depthwise.*2 inputs and 1 outputs'),
        (change_wiring(2, inputs=[5, 5, 7]), 'expected constants as its weights'),
        (change_wiring(0, inputs=[0, 99, 2]), 'some of which is not there yet'),
        (change_wiring(0, inputs=[-1, 1, 2]), 'some of which is not there yet'),
        (change_wiring(0, inputs=[8, 1, 2]), 'some of which is not there yet'),
        (change_wiring(0, outputs=[]), 'expected one output of its own'),
        (change_wiring(0, outputs=[0]), 'expected one output of its own'),
        (change_wiring(0, outputs=[10**6]), 'some of which is not there yet'),
        (change_wiring(0, customOptions=[1, 2]), 'a field of number 5'),
        (change_tensor('input', shape=np.int32([1, 64, 32, 3])), 'expected an output of'),
        (change_tensor('input', shape=np.int32([1, -1, 32, 3])), 'input: .* of a fixed size'),
        (change_tensor('input', shape=np.int32([1] * 5)), 'input: a list of 5, expected'),
        (change_tensor('input', shape=np.int32([1, 2**31 - 1] * 2)), r'1\.07e.09 GB of memory'),
        (change_tensor('input', type=5), 'input: expected a tensor of float32, .*found type 5'),
        (change_tensor('input', buffer=1), 'input: expected 12288 bytes .*, found 432'),
        (change_tensor('input', buffer=99), 'LiteRT cannot read it'),
        (change_tensor('input', isVariable=True), 'a field of number 5'),
        (change_tensor('input', type=2), 'it does not compute with int32'),
        (change_constant(SHAPE[1:3], [-5, 32]), 'expected an output of'),
        (change_constant([1, 2], [1, 9]), 'expected axes that it has'),
        (change_wiring(9, inputs=[15, 4]), r'expected axes .*16, 8. and .4, 2.'),
        (change_constant([0, 0, 0, 2], [0, 0, 0, 8]), 'expected a part of 8, found 1 from 8 on'),
        (change_constant([0, 0, 1, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, -1, 0, 0]), 'at least 0'),
    ],
)  # fmt: skip
def test_no_such_model(path, change, message):
    builder = network()
    change(builder)
    refuse(path, builder, message)


@pytest.mark.parametrize('copies', [0, 2, 1000])
def test_it_has_one_graph(path, copies):
    builder = brightness()
    builder.model.subgraphs = [builder.graph] * copies
    builder.graph.outputs = [4]
    import flatbuffers

    flat = flatbuffers.Builder(1024)
    flat.Finish(builder.model.Pack(flat), b'TFL3')
    path.write_bytes(bytes(flat.Output()))
    with pytest.raises(ArtefactError, match=f'expected one graph, found {copies}'):
        create_session(path)


def test_signatures_name_the_ends(path):
    builder = brightness()
    builder.sign([0], [4])
    path.write_bytes(builder.pack())
    assert create_session(path).input_name == 'input'


@pytest.mark.parametrize(
    ('signature', 'message'),
    [
        (([0], [3]), r'a signature of other tensors than the graph, \[4\]'),
        (([], [4]), r'a signature of other tensors than the graph, \[0\]'),
        (([0, 0], [4]), 'a signature of other tensors'),
        (([10**6], [4]), 'a signature of other tensors'),
        (([0], [4], 1), 'a signature of graph 1, which is not there'),
        (([0] * 65, [4]), 'a list of 65'),
    ],
)
def test_signatures_name_nothing_else(path, signature, message):
    builder = brightness()
    builder.sign(*signature)
    refuse(path, builder, message)


def test_signatures_are_few(path):
    builder = brightness()
    for _ in range(9):
        builder.sign([0], [4])
    refuse(path, builder, 'a list of 9')


def test_it_has_one_end_on_each_side(path):
    builder = brightness()
    builder.graph.inputs = [0, builder.tensor('other', (1,))]
    path.write_bytes(builder.pack(output=4))
    with pytest.raises(ArtefactError, match='expected one input and one output, found 2 and 1'):
        create_session(path)


@pytest.mark.parametrize('make', [brightness, network])
def test_a_plain_model_runs(path, make):
    path.write_bytes(make().pack())
    session = create_session(path)
    images = np.random.default_rng(0).uniform(0, 255, SHAPE).astype(np.float32)
    alpha = session(images)
    assert alpha.shape == (*SHAPE[:3], 1)
    if make is brightness:
        np.testing.assert_allclose(alpha, images.mean(3, keepdims=True) / 255, rtol=1e-5)


def test_buffer_0_is_empty(path):
    builder = brightness()
    builder.model.buffers[0].data = np.uint8([1, 2, 3, 4])
    refuse(path, builder, 'expected nothing in buffer 0, found 4 bytes')


def test_cuts_and_changed_bytes_are_refused_or_harmless():
    """Reading it raises nothing but ArtefactError; running what passes is tried in tests/fuzz."""
    content = brightness().pack(metadata='{}')
    for end in range(0, len(content), 7):
        with pytest.raises(ArtefactError):
            read_lite_model(content[:end])
    passed = 0
    for i in range(0, len(content), 5):
        with contextlib.suppress(ArtefactError):
            read_lite_model(content[:i] + bytes([content[i] ^ 255]) + content[i + 1 :])
            passed += 1
    assert 0 < passed < len(content) / 5 / 2  # padding, names, weights


def test_memory_and_work_are_counted(path):
    path.write_bytes(network().pack())
    steps = {step.name.split(' ')[-1]: step for step in list_lite_steps(read_lite_model(path))}
    conv = steps['(CONV_2D)']
    assert list(conv.outputs.values()) == [16 * 16 * 4 * 4]
    moved = 32 * 32 * 3 + 4 * 27 + 4 + 16 * 16 * 4
    assert conv.work == moved + 16 * 16 * 4 * 27
    depthwise = steps['(DEPTHWISE_CONV_2D)']
    assert depthwise.work == 18 * 18 * 4 + 4 * 9 + 16 * 16 * 4 * (1 + 9)
    pool = steps['(AVERAGE_POOL_2D)']
    assert list(pool.outputs.values()) == [8 * 8 * 4]  # int8
    assert pool.work == 16 * 16 * 4 + 8 * 8 * 4 * (1 + 4)
