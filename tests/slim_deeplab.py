"""Mobile DeepLabv3 as TF-Slim makes it, in TensorFlow 1's API, from the published tables alone.

Nothing of the library is used: names, strides, dilations and widths are written out here.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

# Of MobileNetV2 at output stride 16, by block: expansion, channels at multiplier 1, stride,
# dilation (https://arxiv.org/abs/1801.04381, table 2; the last stride of 2 becomes a dilation).
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 1), (6, 24, 1, 1),
    (6, 32, 2, 1), (6, 32, 1, 1), (6, 32, 1, 1),
    (6, 64, 2, 1), (6, 64, 1, 1), (6, 64, 1, 1), (6, 64, 1, 1),
    (6, 96, 1, 1), (6, 96, 1, 1), (6, 96, 1, 1),
    (6, 160, 1, 1), (6, 160, 1, 2), (6, 160, 1, 2),
    (6, 320, 1, 2),
)  # fmt: skip
# Channels of the first convolution and of each block, as TF-Slim rounds them.
WIDTHS = {
    0.35: (16, 8, 8, 8, 16, 16, 16, 24, 24, 24, 24, 32, 32, 32, 56, 56, 56, 112),
    0.5: (16, 8, 16, 16, 16, 16, 16, 32, 32, 32, 32, 48, 48, 48, 80, 80, 80, 160),
    0.75: (24, 16, 24, 24, 24, 24, 24, 48, 48, 48, 48, 72, 72, 72, 120, 120, 120, 240),
    1.0: (32, *(channels for _, channels, _, _ in BLOCKS)),
}


@dataclasses.dataclass(frozen=True)
class Slim:
    """A network that was run and saved.

    Attributes:
      images: [N, H, W, 3] in [0, 255].
      logits: [N, H, W, classes].
      features: The backbone's output, [N, H / 16, W / 16, C].
      trainable: The number of trainable parameters.
    """

    images: np.ndarray
    logits: np.ndarray
    features: np.ndarray
    trainable: int


def write_slim_deeplab(
    prefix: Path,
    widths: tuple[int, ...] = WIDTHS[0.35],
    *,
    classes: int = 2,
    head: int = 24,
    rates: tuple[int, ...] = (),
    with_head: bool = True,
    size: tuple[int, int] = (64, 96),
    averaged: bool = False,
) -> Slim:
    """Draws a network, runs it and saves it with TensorFlow 1's `Saver`.

    Args:
      prefix: The checkpoint's.
      widths: Of the first convolution and of the blocks.
      classes: Channels of the map.
      head: Channels of each layer of the head.
      rates: Dilations of the atrous branches.
      with_head: Without it, the checkpoint has a classifier of ImageNet in the head's place.
      size: Height and width of the images.
      averaged: Whether the network that is run is kept as moving averages of another.
    """
    import tensorflow.compat.v1 as tf

    rng = np.random.default_rng(0)

    def draw(name: str, shape: tuple[int, ...], low: float, high: float) -> Any:
        return tf.get_variable(name, initializer=rng.uniform(low, high, shape).astype(np.float32))

    def normalise(x: Any, epsilon: float) -> Any:
        shape = (x.shape[-1],)
        with tf.variable_scope('BatchNorm'):
            # Small enough that an epsilon of 1e-3 counts; values are neither amplified nor damped.
            gamma, beta = draw('gamma', shape, 0.2, 0.4), draw('beta', shape, -0.2, 0.2)
            mean = draw('moving_mean', shape, -0.1, 0.1)
            variance = draw('moving_variance', shape, 0.05, 0.15)
        return tf.nn.fused_batch_norm(
            x, gamma, beta, mean, variance, epsilon=epsilon, is_training=False
        )[0]

    def conv(x: Any, scope: str, width: int, epsilon: float, taps: int = 1, stride: int = 1) -> Any:
        with tf.variable_scope(scope):
            scale = np.sqrt(3 / (taps**2 * int(x.shape[-1])))
            weights = draw('weights', (taps, taps, x.shape[-1], width), -scale, scale)
            return normalise(tf.nn.conv2d(x, weights, stride, 'SAME'), epsilon)

    def depthwise(x: Any, scope: str, epsilon: float, stride: int, rate: int) -> Any:
        with tf.variable_scope(scope):
            weights = draw('depthwise_weights', (3, 3, x.shape[-1], 1), -0.6, 0.6)
            x = tf.nn.depthwise_conv2d(
                x, weights, [1, stride, stride, 1], 'SAME', dilations=[rate, rate]
            )
            return normalise(x, epsilon)

    def backbone(x: Any) -> Any:
        with tf.variable_scope('MobilenetV2'):
            x = tf.nn.relu6(conv(x, 'Conv', widths[0], 1e-3, taps=3, stride=2))
            for i, (expansion, _, stride, rate) in enumerate(BLOCKS):
                with tf.variable_scope(f'expanded_conv_{i}' if i else 'expanded_conv'):
                    y = x
                    if expansion > 1:
                        y = tf.nn.relu6(conv(x, 'expand', expansion * int(x.shape[-1]), 1e-3))
                    y = tf.nn.relu6(depthwise(y, 'depthwise', 1e-3, stride, rate))
                    y = conv(y, 'project', widths[1 + i], 1e-3)
                    x = x + y if stride == 1 and x.shape[-1] == y.shape[-1] else y
            if not with_head:
                conv(x, 'Conv_1', 40, 1e-3)
                with tf.variable_scope('Logits/Conv2d_1c_1x1'):
                    draw('weights', (1, 1, 40, 10), -1, 1)
                    draw('biases', (10,), -1, 1)
        return x

    def classify(x: Any) -> Any:
        pooled = tf.reduce_mean(x, [1, 2], keepdims=True)
        pooled = tf.nn.relu(conv(pooled, 'image_pooling', head, 1e-5))
        pooled = tf.image.resize_bilinear(pooled, x.shape[1:3], align_corners=True)
        branches = [pooled, tf.nn.relu(conv(x, 'aspp0', head, 1e-5))]
        for i, rate in enumerate(rates, start=1):
            y = tf.nn.relu(depthwise(x, f'aspp{i}_depthwise', 1e-5, 1, rate))
            branches.append(tf.nn.relu(conv(y, f'aspp{i}_pointwise', head, 1e-5)))
        x = tf.nn.relu(conv(tf.concat(branches, -1), 'concat_projection', head, 1e-5))
        with tf.variable_scope('logits/semantic'):
            weights = draw('weights', (1, 1, head, classes), -9, 9)
            return tf.nn.conv2d(x, weights, 1, 'SAME') + draw('biases', (classes,), -1, 1)

    images = rng.uniform(0, 255, (2, *size, 3)).astype(np.float32)
    with tf.Graph().as_default(), tf.Session() as session:
        features = backbone(2 / 255 * images - 1)
        logits = classify(features) if with_head else tf.zeros((2, *size, classes))
        logits = tf.image.resize_bilinear(logits, size)  # TensorFlow 1's own: source = target / 16
        trainable = sum(
            int(np.prod(variable.shape))
            for variable in tf.global_variables()
            if not variable.op.name.endswith(('moving_mean', 'moving_variance'))
        )
        # What training leaves beside the weights.
        tf.get_variable('global_step', initializer=np.int64(30_000))
        tf.get_variable('MobilenetV2/Conv/weights/Momentum', initializer=np.zeros(3, np.float32))
        session.run(tf.global_variables_initializer())
        names = {}
        if averaged:
            for variable in [v for v in tf.global_variables() if 'global' not in v.op.name]:
                names[f'{variable.op.name}/ExponentialMovingAverage'] = variable
                names[variable.op.name] = tf.Variable(tf.zeros(variable.shape))
            session.run(tf.variables_initializer(list(names.values())[1::2]))
        tf.train.Saver(names or None).save(session, str(prefix), write_meta_graph=False)
        return Slim(images, *session.run([logits, features]), trainable)
