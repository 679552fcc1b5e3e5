import os
import subprocess
import sys

import pytest

PROGRAM = """
from mattingjax.process.packages import import_tensorflow
tf = import_tensorflow()
image, kernel = tf.ones([1, 9, 9, 2]), tf.ones([3, 3, 2, 1])
y = tf.nn.depthwise_conv2d(image, kernel, [1, 1, 1, 1], 'VALID', dilations=[2, 2])
graph = tf.function(lambda x: tf.raw_ops.DepthwiseConv2dNative(
    input=x, filter=kernel, strides=[1, 1, 1, 1], padding='VALID', dilations=[1, 2, 2, 1]))
print(float(tf.reduce_max(tf.abs(graph(image) - y))), float(y[0, 0, 0, 0]))
"""


def test_tensorflow_runs_dilated_depthwise_convolutions_on_every_processor():
    pytest.importorskip('tensorflow')
    result = subprocess.run([sys.executable, '-c', PROGRAM], capture_output=True, check=False)
    assert result.stdout == b'0.0 9.0\n', result.stderr.decode()[-400:]


def test_onnxruntime_reports_to_nobody(tmp_path):
    """It would keep an identity in the home directory."""
    pytest.importorskip('onnxruntime')
    code = (
        'from mattingjax import create_predictor; import numpy as np\n'
        "create_predictor('mmnet_0.5', 'onnxruntime')(np.zeros((32, 32, 3), np.uint8))"
    )
    environment = {name: text for name, text in os.environ.items() if name != 'CI'}
    environment |= {'HOME': str(tmp_path), 'XDG_CACHE_HOME': str(tmp_path / 'cache')}
    environment.pop('ORT_DISABLE_TELEMETRY', None)
    subprocess.run([sys.executable, '-c', code], env=environment, check=True)
    assert not [path for path in tmp_path.rglob('*') if 'onnxruntime' in path.name]
