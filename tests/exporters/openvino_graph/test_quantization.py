"""NNCF's quantisation of small models, and what is changed of it."""

import numpy as np
import pytest

from tests.conftest import require_export_tools
from tests.exporters.onnx_graph.models import make_model, named

SIDE = 32


def make_ir(scale=9.0):
    """Two convolutions of the photo that are joined for a third; a sigmoid; in OpenVINO.

    Args:
      scale: How much larger the values of the second convolution are, which the third makes up for.
    """
    require_export_tools()
    from exporters.openvino_graph.conversion import convert_onnx

    rng = np.random.default_rng(0)

    def weights(*shape):
        return rng.standard_normal(shape).astype(np.float32)

    constants = {'a': weights(8, 3, 3, 3), 'b': weights(8, 3, 3, 3), 'c': weights(1, 16, 3, 3)}
    constants['b'] *= scale
    constants['c'][:, 8:] /= scale
    constants['c'] /= 2000  # logits of a few units
    nodes = [
        named('Transpose', ['x'], 'photo', perm=[0, 3, 1, 2]),
        named('Conv', ['photo', 'a'], 'from_a', pads=[1] * 4),
        named('Conv', ['photo', 'b'], 'from_b', pads=[1] * 4),
        named('Concat', ['from_a', 'from_b'], 'joined', axis=1),
        named('Conv', ['joined', 'c'], 'last', pads=[1] * 4),
        named('Sigmoid', ['last'], 'alpha'),
        named('Transpose', ['alpha'], 'y', perm=[0, 2, 3, 1]),
    ]
    shapes = {'x': [1, SIDE, SIDE, 3], 'y': [1, SIDE, SIDE, 1]}
    return convert_onnx(make_model(nodes, shapes, constants).SerializeToString())


def draw_photos(count):
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (1, SIDE, SIDE, 3)).astype(np.float32) for _ in range(count)]


def find_nodes(model, kind):
    return {
        node.get_friendly_name(): node
        for node in model.get_ordered_ops()
        if node.get_type_name() == kind
    }


def test_a_quantised_map_is_read_by_all_in_eight_bits():
    """What is joined has one step, and no map is in float32."""
    exact = make_ir()
    from exporters.openvino_graph import quantization
    from exporters.openvino_graph.floating_point import list_float_operations

    model = quantization.quantize_ir(exact, draw_photos(3))
    assert list_float_operations(model) == {'Sigmoid': ['alpha']}
    (concat,) = find_nodes(model, 'Concat').values()
    joined = [value.get_node() for value in concat.input_values()]
    assert {node.get_type_name() for node in joined} == {'FakeQuantize'}
    bounds = {float(node.input_value(2).get_node().data.reshape(-1)[0]) for node in joined}
    assert len(bounds) == 1


def test_no_sum_of_a_kernel_is_off_by_more_than_half_a_step():
    exact = make_ir()
    from exporters.openvino_graph import quantization

    model = quantization.quantize_ir(exact, draw_photos(3))
    kernels = find_nodes(exact, 'Convolution')
    for name, node in find_nodes(model, 'Convolution').items():
        converted, step = (
            value.get_node() for value in node.input_value(1).get_node().input_values()
        )
        steps = converted.input_value(0).get_node().data.astype(np.float64)
        kernel = kernels[name].input_value(1).get_node().data
        sums = (kernel / step.data).sum(axis=(2, 3))
        assert np.abs(steps.sum(axis=(2, 3)) - sums).max() < 0.501, name


class Bound:
    """As a `Calibration` whose true alphas are those of the model itself."""

    def __init__(self, model, limit):
        from mattingjax.inference.sessions import OpenVinoSession

        self.batches, self.limit = draw_photos(6), limit
        session = OpenVinoSession(model)
        self._alphas = [session(images) for images in self.batches]

    def errors(self, run, indices):
        return [float(np.abs(run(self.batches[i]) - self._alphas[i]).mean()) for i in indices]


@pytest.mark.parametrize(
    ('limit', 'floating'),
    [
        (0.5, []),
        (0.01, ['last']),  # whose one step for both halves leaves nothing of the small one
        (1e-6, ['from_a', 'from_b', 'last']),
    ],
)
def test_what_costs_too_much_stays_in_floating_point(limit, floating):
    exact = make_ir(scale=100.0)
    from exporters.openvino_graph.floating_point import list_float_operations
    from exporters.openvino_graph.quantization import quantize_ir_with_control
    from mattingjax.inference.sessions import OpenVinoSession

    bound = Bound(exact, limit)
    model = quantize_ir_with_control(exact, bound)
    assert list_float_operations(model).get('Convolution', []) == floating
    errors = bound.errors(OpenVinoSession(model), range(6))
    assert np.mean(errors) <= limit
    assert (np.mean(errors) > 0.1) == (limit == 0.5)
