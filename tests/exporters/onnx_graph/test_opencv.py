"""OpenCV's DNN module reads ONNX exports, with weights in half precision too."""

import cv2
import numpy as np
import pytest

pytest.importorskip('onnx')

from exporters.onnx_graph.half_precision import compress_largest
from mattingjax.networks import apply_compiled
from tests.exporters.onnx_graph.models import onnx


def run(path, pixels):
    network = cv2.dnn.readNetFromONNX(str(path))
    network.setInput(pixels)  # NHWC, as the model takes it
    return network.forward()


@pytest.mark.parametrize('export', ['modnet_export', 'mmnet_export'])
def test_the_alpha_is_that_of_the_network(export, request, tmp_path):
    export = request.getfixturevalue(export)
    path = export.folder / 'model.onnx'
    model = onnx.load(path)
    shape = [side.dim_value for side in model.graph.input[0].type.tensor_type.shape.dim]
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.float32)
    # MMNet's is exported without the scaling of its input.
    scale = 255 if export.checkpoint.config.network == 'mmnet' else 1
    checkpoint = export.checkpoint
    expected = apply_compiled(checkpoint.config, checkpoint.variables, pixels)['alpha']
    np.testing.assert_allclose(run(path, pixels / scale), expected, atol=1e-4)

    half, _ = compress_largest(model, 10)
    onnx.save(half, tmp_path / 'half.onnx')
    np.testing.assert_allclose(run(tmp_path / 'half.onnx', pixels / scale), expected, atol=0.05)
