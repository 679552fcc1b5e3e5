"""LiteRT models of small networks, in each precision."""

import numpy as np
import pytest

from mattingjax import create_predictor
from mattingjax.errors import ArtefactError, MattingError
from mattingjax.inference.sessions import LiteRtSession
from mattingjax.networks import create_model_config, init_variables
from tests.conftest import require_export_tools

pytestmark = pytest.mark.usefixtures('quickly_compiled')
SIDES = {'toy': 32, 'mmnet': 64}


@pytest.fixture(scope='module', params=SIDES)
def converted(request):
    """The content of a LiteRT model, and a function that makes alphas with JAX."""
    return _convert(request.param)


def _convert(network):
    import tests.toy  # noqa: F401  # registers it

    require_export_tools()
    pytest.importorskip('ai_edge_litert')
    from exporters.lite_graph.conversion import convert_graph
    from exporters.tensorflow_graph.folding import fold_batch_norm
    from exporters.tensorflow_graph.freezing import create_frozen_graph
    from mattingjax.networks import apply_compiled

    config = create_model_config(network)
    variables = init_variables(config, seed=0)
    side = SIDES[network]
    graph = create_frozen_graph(config, fold_batch_norm(config, variables), (1, side, side, 3))

    def apply(images):
        return np.asarray(apply_compiled(config, variables, images)['alpha'])

    return graph, convert_graph(graph, 'input', 'output'), apply


def draw(side, count=1, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (1, side, side, 3)).astype(np.float32) for _ in range(count)]


def test_float32_is_the_network(converted):
    from exporters.lite_graph.conversion import count_delegated, list_ops

    _, content, apply = converted
    session = LiteRtSession(content)
    assert (session.input_name, session.input_dtype) == ('input', np.float32)
    (images,) = draw(session.input_shape[1])
    np.testing.assert_allclose(session(images), apply(images), atol=1e-4)
    ops = list_ops(content)
    assert ops['CONV_2D'] > 1
    assert ops['LOGISTIC'] == 1
    assert count_delegated(content) == sum(ops.values())  # XNNPACK runs all of it


def test_float16_keeps_within_its_limit(converted):
    from exporters.lite_graph.conversion import compress_largest, count_constants
    from exporters.precision.within_tolerance import compress_within

    _, content, _ = converted
    whole = LiteRtSession(content)
    (images,) = draw(whole.input_shape[1])

    def measure(other):
        return float(np.abs(LiteRtSession(other)(images) - whole(images)).max())

    count = count_constants(content)
    everything, share = compress_largest(content, count)
    assert share == 1
    if len(content) > 10**5:  # the toy's is mostly names
        assert len(everything) < 0.7 * len(content)
    most = measure(everything)
    assert 0 < most < 5e-3
    count = count_constants(content)
    assert compress_within(content, compress_largest, count, measure, most)[0] == everything
    some, share = compress_within(content, compress_largest, count, measure, most / 4)
    assert 0 <= share < 1
    assert measure(some) <= most / 4
    nothing, share = compress_largest(content, 0)
    assert share == 0
    np.testing.assert_array_equal(LiteRtSession(nothing)(images), whole(images))


def test_int8_computes_in_integers(converted):
    from exporters.lite_graph.conversion import list_ops
    from exporters.lite_graph.quantization import list_float_operations, quantize_graph

    graph, content, _ = converted
    whole = LiteRtSession(content)
    photos = draw(whole.input_shape[1], 12)

    def measure(other):
        session = LiteRtSession(other)
        return float(np.mean([np.abs(session(x) - whole(x)).mean() for x in photos]))

    made = quantize_graph(graph, content, photos, measure, 0.02)
    assert measure(made.content) <= 0.02
    assert made.kept == 0
    ops = list_ops(made.content)
    floats = made.float_operations
    assert floats == list_float_operations(made.content)
    assert floats['LOGISTIC'] == ['output']
    assert len(_convolutions_of(floats)) <= 3
    assert ops['CONV_2D'] == list_ops(content)['CONV_2D']
    if ops['CONV_2D'] > 3:  # of the toy's three the first and the last stay in float32
        assert ops['QUANTIZE'] >= 1
        assert len(made.content) < len(content)
    session = LiteRtSession(made.content)
    assert session.input_dtype == np.float32
    (images,) = draw(whole.input_shape[1], seed=1)
    assert np.abs(session(images) - whole(images)).mean() < 0.03


def test_first_convolutions_are_kept_until_the_loss_is_small():
    from exporters.lite_graph.quantization import list_float_operations, quantize_graph
    from mattingjax.inference.screening import read_lite_model

    graph, content, _ = _convert('mmnet')
    model = read_lite_model(content)
    convolutions = [
        model.tensors[operation.output].name.split(';')[0]
        for operation in model.operations
        if 'CONV' in operation.kind.name
    ]

    def measure(candidate):
        return float(convolutions[3] not in _convolutions_of(list_float_operations(candidate)))

    made = quantize_graph(graph, content, draw(64, 2), measure, 0.5)
    assert _convolutions_of(made.float_operations) == set(convolutions[:6])
    assert made.kept == 6
    hopeless = quantize_graph(graph, content, draw(64, 2), lambda _: 1.0, 0.5)
    assert hopeless.kept == 24


def _convolutions_of(operations):
    return {name for kind, names in operations.items() if 'CONV' in kind for name in names}


def test_what_stays_in_float_keeps_its_weights():
    from exporters.lite_graph.quantization import quantize_graph
    from mattingjax.inference.screening import read_lite_model

    graph, content, _ = _convert('toy')

    def kernels(content):
        model = read_lite_model(content)
        return {
            model.tensors[operation.output].name: model.tensors[operation.inputs[1]]
            for operation in model.operations
            if 'CONV' in operation.kind.name
        }

    made = quantize_graph(graph, content, draw(32, 2), lambda _: 1.0, 0.5)
    exact, kept = kernels(content), kernels(made.content)
    assert set(exact) == set(kept)
    for name, kernel in kept.items():
        assert kernel.dtype == 'float32'  # as the loss is hopeless
        np.testing.assert_array_equal(kernel.data, exact[name].data)


def test_ranges_are_means_over_the_photos():
    from exporters.lite_graph.quantization import quantize_graph
    from mattingjax.inference.screening import read_lite_model

    graph, content, _ = _convert('mmnet')
    (photo,) = draw(64)

    def measure(*photos):
        """The steps of the first maps, which hardly depend on how others are rounded."""
        made = quantize_graph(graph, content, photos, lambda _: 0.0, 1.0)
        model = read_lite_model(made.content)
        maps = [model.tensors[operation.output] for operation in model.operations]
        return [tensor.scales[0] for tensor in maps if tensor.dtype == 'int8'][:8]

    both = measure(photo, photo / 4)
    mean = np.mean([measure(photo), measure(photo / 4)], axis=0)
    np.testing.assert_allclose(both, mean, rtol=1e-4)
    assert np.abs(both - np.array(measure(photo))).max() > 0.01 * max(both)


@pytest.mark.parametrize('count', [0, 301])
def test_a_calibration_of_a_wrong_length_is_told(count):
    pytest.importorskip('ai_edge_litert')
    from exporters.lite_graph.quantization import quantize_graph

    message = f'calibration: expected 1 to 300 photos, found {count}'
    with pytest.raises(MattingError, match=message):
        quantize_graph(None, b'', [np.zeros((1, 8, 8, 3))] * count, None, 0.1)


def test_the_signature_names_the_ends():
    from ai_edge_litert.interpreter import Interpreter

    from exporters.lite_graph.conversion import add_metadata

    content = add_metadata(_convert('toy')[1], '{}')
    interpreter = Interpreter(model_content=content)
    assert interpreter.get_signature_list() == {
        'serving_default': {'inputs': ['input'], 'outputs': ['output']}
    }
    (images,) = draw(32)
    alpha = interpreter.get_signature_runner()(input=images)['output']
    np.testing.assert_allclose(alpha, LiteRtSession(content)(images), atol=1e-6)


def test_metadata_is_kept():
    from exporters.lite_graph.conversion import add_metadata, compress_largest

    _, content, _ = _convert('toy')
    assert LiteRtSession(content).metadata is None
    once = add_metadata(content, '{"a": "é"}')
    assert LiteRtSession(once).metadata == '{"a": "é"}'
    twice = add_metadata(once, '{}')
    assert LiteRtSession(twice).metadata == '{}'
    assert LiteRtSession(compress_largest(twice, 1)[0]).metadata == '{}'
    (images,) = draw(32)
    np.testing.assert_array_equal(LiteRtSession(twice)(images), LiteRtSession(content)(images))


def test_weights_are_aligned_as_the_schema_asks():
    from exporters.lite_graph.conversion import add_metadata
    from mattingjax.inference.screening import read_lite_model

    content = add_metadata(_convert('toy')[1], 'abc')
    model = read_lite_model(content)
    starts = {
        tensor.data.__array_interface__['data'][0] - _address(content)
        for tensor in model.tensors
        if tensor.data is not None
    }
    assert starts
    assert not any(start % 16 for start in starts)


def _address(content):
    return np.frombuffer(content, np.uint8).__array_interface__['data'][0]


def test_what_no_session_takes_is_not_written():
    require_export_tools()
    from exporters.lite_graph.conversion import convert_graph
    from mattingjax.process.packages import import_tensorflow

    tf = import_tensorflow()
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, (1, 8, 8, 3), 'input')
        tf.math.cumsum(image, axis=1, name='output')
    with pytest.raises(ArtefactError, match='operation 128 is none of a matting network'):
        convert_graph(graph.as_graph_def(), 'input', 'output')


def test_a_predictor_mattes_with_it(tmp_path):
    import json

    from exporters.lite_graph.conversion import add_metadata
    from mattingjax.inference.signature import Signature

    _, content, apply = _convert('toy')
    config = create_model_config('toy')
    signature = Signature(
        'input', 'output', (1, 32, 32, 3), 'float32', True, 'RGB', False, 32, config.preprocessing
    )
    path = tmp_path / 'model.tflite'
    path.write_bytes(add_metadata(content, json.dumps({'signature': signature.to_dict()})))
    (images,) = draw(32)
    alpha = create_predictor(path)(images[0].astype(np.uint8))
    np.testing.assert_allclose(alpha, apply(images)[0, :, :, 0], atol=1e-4)
