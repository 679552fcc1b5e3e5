"""Convolutions whose gradients XLA:CPU computes fast; `cpu_operations` says why they are needed.

A dense convolution's kernel gradient is written as a matrix product over all pixels. A depthwise
convolution's gradients are multiply-adds over shifted views of the input, like its output.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from mattingjax.networks import operations
from mattingjax.networks.padding import Padding, spatial_padding

Pads = tuple[tuple[int, int], tuple[int, int]]

# Parts of an image of this size were measured to stay in the processor's cache.
BLOCK_ROWS = 8
STRIP_PIXELS = 8192

_grouped_conv = operations.conv.plain
_shifted_conv = operations.shifted_depthwise_conv


def conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
    groups: int = 1,
) -> jax.Array:
    """Computes `operations.conv`."""
    if groups > 1:
        return _grouped_conv(
            x, kernel, stride=stride, dilation=dilation, padding=padding, groups=groups
        )
    pads = _pads(x, kernel, stride, dilation, padding)
    if kernel.shape[:2] == (1, 1) and stride == 1 and pads == ((0, 0), (0, 0)):
        # A matrix product, and so are its gradients.
        return (x.reshape(-1, x.shape[-1]) @ kernel[0, 0]).reshape(*x.shape[:-1], -1)
    return _dense(x, kernel, stride, dilation, pads)


def depthwise_conv(
    x: jax.Array,
    kernel: jax.Array,
    *,
    stride: int = 1,
    dilation: int = 1,
    padding: Padding = 'SAME',
) -> jax.Array:
    """Computes `operations.depthwise_conv`."""
    return _depthwise(x, kernel, stride, dilation, _pads(x, kernel, stride, dilation, padding))


def map_images(function: Callable[..., Any], *arrays: jax.Array) -> Any:
    """Applies a function to the images of a batch one by one, in a loop of the compiled program.

    XLA:CPU would compute anew, for each tap of a kernel and for each sum, what an array is made of.
    It does not look through a loop: arrays are computed before it, once, and what is computed of an
    image stays in the cache. A batch over several devices stays whole, as a loop would gather it.

    Args:
      function: Makes arrays [n, ...] of arrays [n, ...], image by image, whatever n is.
      *arrays: Arrays [N, ...].

    Returns:
      What the function makes of the arrays.
    """
    if len(arrays[0]) == 1 or jax.device_count() > 1:
        return function(*arrays)

    def apply(images: tuple[jax.Array, ...]) -> Any:
        return jax.tree.map(lambda y: y[0], function(*(image[None] for image in images)))

    return lax.map(apply, arrays)


def sum_pixels(function: Callable[..., Sequence[jax.Array]], *arrays: jax.Array) -> list[jax.Array]:
    """Sums each channel over the pixels of each image, for several arrays in one pass.

    By itself XLA:CPU would sum one channel after the other, each time through all of the memory.
    Here rows are first added within blocks that stay in the cache.

    Args:
      function: Makes the arrays to sum, [n, H, W, C] and all of one shape, as in `map_images`.
      *arrays: Arrays [N, ...].

    Returns:
      The sums, float32 [N, C], in the order of the function's arrays.
    """

    def add(*images: jax.Array) -> jax.Array:
        values = function(*images)
        batch, height, width, channels = values[0].shape
        rows = next(rows for rows in (BLOCK_ROWS, 4, 2, 1) if height % rows == 0)
        shape = (batch, height // rows, rows, width * channels)
        blocks = [value.astype(jnp.float32).reshape(shape) for value in values]
        zeros = [jnp.zeros((), jnp.float32)] * len(blocks)
        sums = lax.reduce(
            blocks, zeros, lambda a, b: [x + y for x, y in zip(a, b, strict=True)], (2,)
        )
        return jnp.stack(sums, 1).reshape(batch, len(sums), -1, channels).sum(2)

    sums: jax.Array = map_images(add, *arrays)
    return [sums[:, i] for i in range(sums.shape[1])]


def _pads(x: jax.Array, kernel: jax.Array, stride: int, dilation: int, padding: Padding) -> Pads:
    rows, columns = spatial_padding(x, kernel, stride, dilation, padding)
    return rows, columns


def _pad(x: jax.Array, pads: Pads, between: int = 0) -> jax.Array:
    """Adds zeros around the pixels and between them; negative numbers remove pixels."""
    spatial = [(before, after, between) for before, after in pads]
    return lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *spatial, (0, 0, 0)])


def _views(
    x: jax.Array, kernel: jax.Array, shape: tuple[int, ...], stride: int, dilation: int
) -> list[jax.Array]:
    """Returns what each tap of the kernel reads of a padded input, for an output of this shape."""
    rows, columns = ((size - 1) * stride + 1 for size in shape[1:3])
    return [
        x[:, top : top + rows : stride, left : left + columns : stride]
        for top, left in dilation * np.stack(np.nonzero(np.ones(kernel.shape[:2])), 1)
    ]


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _dense(x: jax.Array, kernel: jax.Array, stride: int, dilation: int, pads: Pads) -> jax.Array:
    return _xla_conv(x, kernel, stride, dilation, pads)


def _xla_conv(x: jax.Array, kernel: jax.Array, stride: int, dilation: int, pads: Pads) -> jax.Array:
    return lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=pads,
        rhs_dilation=(dilation, dilation),
        dimension_numbers=('NHWC', 'HWIO', 'NHWC'),
    )


def _dense_forward(x: jax.Array, kernel: jax.Array, *options: Any) -> Any:
    return _xla_conv(x, kernel, *options), (x, kernel)


def _dense_backward(stride: int, dilation: int, pads: Pads, residuals: Any, g: jax.Array) -> Any:
    x, kernel = residuals
    # XLA's own gradient with respect to the input is fast.
    _, input_gradient = jax.vjp(lambda x: _xla_conv(x, kernel, stride, dilation, pads), x)
    x = _pad(x, pads)
    if stride == 1:
        kernel_gradient = _kernel_gradient(x, g, kernel, dilation)
    else:
        views = _views(x, kernel, g.shape, stride, dilation)
        kernel_gradient = _product_over_pixels(jnp.concatenate(views, axis=-1), g)
    return *input_gradient(g), kernel_gradient.reshape(kernel.shape).astype(kernel.dtype)


def _kernel_gradient(x: jax.Array, g: jax.Array, kernel: jax.Array, dilation: int) -> jax.Array:
    """Computes the gradient of the kernel at stride 1 from the padded input and the output's `g`.

    There is one matrix product for each column of the kernel: of the input, shifted along the
    columns, with the gradients, shifted along the rows. That takes fewer copies than shifting the
    input along both, and the copies of one strip of rows at a time stay in the cache.
    """
    height, width, inputs, features = kernel.shape
    reach = dilation * (height - 1)
    batch, rows, columns = g.shape[:3]
    strip = min(rows, max(BLOCK_ROWS, STRIP_PIXELS // (batch * columns)))
    missing = ((0, -rows % strip), (0, 0))
    x, g = _pad(x, missing), _pad(g, missing)

    def add_strip(total: jax.Array, first: jax.Array) -> tuple[jax.Array, None]:
        x_strip = lax.dynamic_slice_in_dim(x, first, strip + reach, axis=1)
        g_strip = lax.dynamic_slice_in_dim(g, first, strip, axis=1)
        shifts = range(0, reach + 1, dilation)
        shifted_g = jnp.concatenate(
            [_pad(g_strip, ((shift, reach - shift), (0, 0))) for shift in shifts], axis=-1
        )
        products = [
            _product_over_pixels(x_strip[:, :, left : left + columns], shifted_g)
            for left in range(0, dilation * width, dilation)
        ]
        return total + jnp.stack(products), None

    total = jnp.zeros((width, inputs, height * features), jnp.float32)
    total, _ = lax.scan(add_strip, total, jnp.arange(0, rows, strip))
    return total.reshape(width, inputs, height, features).transpose(2, 0, 1, 3)


def _product_over_pixels(a: jax.Array, b: jax.Array) -> jax.Array:
    """Multiplies [N, H, W, A] with [N, H, W, B] and sums over the pixels: [A, B]."""
    a, b = a.reshape(-1, a.shape[-1]), b.reshape(-1, b.shape[-1])
    return lax.dot_general(a, b, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)


_dense.defvjp(_dense_forward, _dense_backward)


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _depthwise(
    x: jax.Array, kernel: jax.Array, stride: int, dilation: int, pads: Pads
) -> jax.Array:
    def convolve(image: jax.Array) -> jax.Array:
        return _shifted_conv(_pad(image, pads), kernel, stride=stride, dilation=dilation, padding=0)

    return map_images(convolve, x)


def _depthwise_forward(x: jax.Array, kernel: jax.Array, *options: Any) -> Any:
    return _depthwise(x, kernel, *options), (x, kernel)


def _depthwise_backward(
    stride: int, dilation: int, pads: Pads, residuals: Any, g: jax.Array
) -> Any:
    x, kernel = residuals
    # The gradient of the input is that of the output, with zeros where the stride has left pixels
    # out, convolved with the flipped kernel.
    around = []
    for i, (before, _) in enumerate(pads):
        reach = dilation * (kernel.shape[i] - 1)
        size, extent = x.shape[1 + i], (g.shape[1 + i] - 1) * stride + 1
        around.append((reach - before, size + before - extent))

    def convolve(g: jax.Array) -> jax.Array:
        spread = _pad(g, (around[0], around[1]), stride - 1)
        return _shifted_conv(spread, kernel[::-1, ::-1], dilation=dilation, padding=0)

    # For the gradient of the kernel, rows of zeros fill the last block.
    missing = -g.shape[1] % BLOCK_ROWS

    def multiply(x: jax.Array, g: jax.Array) -> list[jax.Array]:
        g = _pad(g, ((0, missing), (0, 0)))
        x = _pad(_pad(x, pads), ((0, missing * stride), (0, 0)))
        return [view * g for view in _views(x, kernel, g.shape, stride, dilation)]

    sums = sum_pixels(multiply, x, g)
    kernel_gradient = jnp.stack([total.sum(0) for total in sums]).reshape(kernel.shape)
    return map_images(convolve, g).astype(x.dtype), kernel_gradient.astype(kernel.dtype)


_depthwise.defvjp(_depthwise_forward, _depthwise_backward)
