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
