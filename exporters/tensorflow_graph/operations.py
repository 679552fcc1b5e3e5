"""The networks' operations as TensorFlow's own ops, for tracing through jax2tf.

jax2tf would write each of them as several small ops (a resize as matrix products, relu6 as a
minimum of a maximum with broadcast constants), which none of the graph's readers could put together
again. Each function here has the signature of its namesake in `networks.operations`, takes
JAX tracers and NumPy constants, and adds one op or a few. Variables must be folded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from mattingjax.networks import Preprocessing, operations
from mattingjax.networks.padding import Padding, explicit_padding, spatial_padding
from mattingjax.networks.replacement import Replacements


def _call(function: Callable[..., Any], *arrays: jax.Array) -> jax.Array:
    from jax.experimental import jax2tf

    return jax2tf.call_tf(function, has_side_effects=False)(*arrays)


def relu(x: jax.Array) -> jax.Array:
    import tensorflow as tf

    return _call(tf.nn.relu, x)


def relu6(x: jax.Array) -> jax.Array:
    import tensorflow as tf

    return _call(tf.nn.relu6, x)


def sigmoid(x: jax.Array) -> jax.Array:
    import tensorflow as tf

    return _call(tf.sigmoid, x)


def add_bias(x: jax.Array, bias: np.ndarray) -> jax.Array:
    import tensorflow as tf

    return _call(lambda x: tf.nn.bias_add(x, bias), x)


def spatial_mean(x: jax.Array, square: int = 1) -> jax.Array:
    return _call(lambda x: _mean(x, square), x)


def _mean(x: Any, square: int) -> Any:
    """The mean over height and width, taken over squares first.

    Runtimes add up one pixel after another in single precision, NPUs in half: over a quarter of a
    million pixels the error moves the alpha by 1e-3.
    """
    import tensorflow as tf

    if square > 1:
        x = tf.nn.avg_pool2d(x, square, square, 'VALID')
    return tf.reduce_mean(x, [1, 2], keepdims=True)


def batch_norm(
    x: jax.Array,
    mean: np.ndarray,
    variance: np.ndarray,
    scale: np.ndarray,
    bias: np.ndarray,
    epsilon: float,
) -> jax.Array:
    """Adds the bias, which is all that folding leaves of a batch normalisation."""
    if np.any(mean != 0) or np.any(scale != 1) or not np.allclose(variance + epsilon, 1):
        raise ValueError('batch normalisation: expected a folded one (see fold_batch_norm)')
    return add_bias(x, bias) if np.any(bias) else x


def ib_norm(
    x: jax.Array,
    batch_channels: int,
    normalise_batch: Callable[[jax.Array], jax.Array],
    square: int = 1,
) -> jax.Array:
    """Instance normalisation with a mask: splitting and joining channels costs runtimes dearly.

    The batch-normed channels, folded into the convolution, pass through: they get mean 0 and
    variance 1.
    """
    import tensorflow as tf

    del normalise_batch
    channels = x.shape[-1]
    mask = (np.arange(channels) >= batch_channels).astype(np.float32)
    offset = np.where(mask, np.float32(operations.INSTANCE_NORM_EPSILON), np.float32(1))

    def normalise(x: Any) -> Any:
        centred = x - _mean(x, square) * mask
        variance = _mean(tf.square(centred), square)
        return centred * tf.math.rsqrt(variance * mask + offset)

    return _call(normalise, x)


def conv(
    x: jax.Array,
    kernel: np.ndarray,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
    groups: int = 1,
) -> jax.Array:
    import tensorflow as tf

    if groups != 1:
        raise ValueError(f'conv: expected one group, got {groups}; depthwise_conv has its own op')
    return _convolve(tf.raw_ops.Conv2D, x, kernel, stride, dilation, padding)


def depthwise_conv(
    x: jax.Array,
    kernel: np.ndarray,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
) -> jax.Array:
    import tensorflow as tf

    # TensorFlow's depthwise kernels are [height, width, in, multiplier].
    kernel = kernel.transpose(0, 1, 3, 2)
    return _convolve(tf.raw_ops.DepthwiseConv2dNative, x, kernel, stride, dilation, padding)


def _convolve(
    op: Callable[..., Any],
    x: jax.Array,
    kernel: np.ndarray,
    stride: int,
    dilation: int,
    padding: Padding,
) -> jax.Array:
    """Convolves with 'SAME' where that pads equally, else with an explicit Pad and 'VALID'.

    EXPLICIT padding would be one op, but depthwise convolutions with it crash TensorFlow's shape
    inference and OpenVINO's reader.
    """
    import tensorflow as tf

    pads = spatial_padding(x, kernel, stride, dilation, padding)
    same = [
        explicit_padding(size, taps, stride, dilation, 'SAME')
        for size, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True)
    ]

    def convolve(x: Any) -> Any:
        if pads != same:
            x = tf.pad(x, [(0, 0), *pads, (0, 0)])
        return op(
            input=x,
            filter=kernel,
            strides=[1, stride, stride, 1],
            dilations=[1, dilation, dilation, 1],
            padding='SAME' if pads == same else 'VALID',
        )

    return _call(convolve, x)


def upsample_2x(x: jax.Array, *, half_pixel: bool) -> jax.Array:
    height, width = x.shape[1:3]
    return _resize(x, 2 * height, 2 * width, half_pixel)


def downsample(x: jax.Array, factor: int) -> jax.Array:
    height, width = x.shape[1:3]
    return _resize(x, height // factor, width // factor, half_pixel=True)


def _resize(x: jax.Array, height: int, width: int, half_pixel: bool) -> jax.Array:
    import tensorflow as tf

    def resize(x: Any) -> Any:
        return tf.raw_ops.ResizeBilinear(
            images=x,
            size=np.array([height, width], np.int32),
            align_corners=False,
            half_pixel_centers=half_pixel,
        )

    return _call(resize, x)


def normalise(preprocessing: Preprocessing, images: jax.Array) -> jax.Array:
    """Computes images · (1 / std) − mean / std, without the parts that change nothing."""
    import tensorflow as tf

    std = np.asarray(preprocessing.std, np.float64)
    factor = (1 / std).astype(np.float32)
    offset = (np.asarray(preprocessing.mean) / std).astype(np.float32)

    def scale(images: Any) -> Any:
        if np.any(factor != 1):
            images = images * factor
        return images - offset if np.any(offset) else tf.identity(images)

    return _call(scale, images)


_PLAIN = (
    add_bias,
    batch_norm,
    conv,
    depthwise_conv,
    downsample,
    normalise,
    relu,
    relu6,
    sigmoid,
    upsample_2x,
)
_AVERAGING = (ib_norm, spatial_mean)
_LARGEST_SQUARE = 8  # pixels; Ascend's pooling windows end at 255 of them


def create_replacements(height: int, multiple: int) -> Replacements:
    """The argument of `replace_operations`.

    Args:
      height: Height of the network's input in pixels.
      multiple: Height and width of the input are multiples of it at any size. So a map of 1 / s of
        the input's height can be averaged over squares of `multiple` / s pixels a side.
    """

    def over_squares(function: Callable[..., jax.Array]) -> Callable[..., jax.Array]:
        def average(x: jax.Array, *arguments: Any) -> jax.Array:
            square = min(_LARGEST_SQUARE, multiple * x.shape[1] // height)
            return function(x, *arguments, square=square)

        return average

    plain = {getattr(operations, function.__name__): function for function in _PLAIN}
    return plain | {
        getattr(operations, function.__name__): over_squares(function) for function in _AVERAGING
    }
