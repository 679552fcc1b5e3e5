"""OpenVINO IR in eight bits: NNCF's quantisation, and what makes its result faster and closer."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from exporters.openvino_graph.floating_point import CONVOLUTIONS, FLOAT_KINDS
from exporters.precision.calibration import Calibration, check_count
from exporters.precision.rounding import LARGEST, LARGEST_OF_PHOTO, round_keeping_sums
from mattingjax.inference.sessions.openvino_session import openvino_core
from mattingjax.process.native_signals import keeping_signal_stack
from mattingjax.process.packages import import_nncf, import_openvino

_NO_ARITHMETIC = ('Constant', 'Convert', 'Parameter', 'Reshape', 'Result', 'Transpose')
_LEVELS = 255.0
_RANKED = 40  # photos on which NNCF tries what each layer costs
_BOUNDS = range(1, 5)  # the inputs of a FakeQuantize: lowest and highest before it, and behind it


def quantize_ir(model: Any, images: Sequence[np.ndarray], *, is_photo: bool = True) -> Any:
    """Quantises a model to eight bits, the ranges of its maps measured on photos.

    Weights are symmetric with a step for each output, maps have one step each. What is computed
    once for each photo, as the statistics of instance normalisation are, stays in float32.

    Args:
      model: An `openvino.Model` in float32.
      images: Photos as the model takes them, float32 [N, H, W, 3].
      is_photo: Whether the model takes photos in [0, 255], whose levels it then keeps.

    Returns:
      The quantised copy.

    Raises:
      MattingError: There are no photos, or too many.
    """
    check_count(images)
    nncf = import_nncf()
    with _around_nncf():
        quantized = nncf.quantize(
            model.clone(),
            nncf.Dataset(images),
            **_settings(nncf, model, images),
            advanced_parameters=_parameters(nncf),
        )
    return _finish(quantized, model, is_photo)


def quantize_ir_with_control(model: Any, calibration: Calibration, *, is_photo: bool = True) -> Any:
    """Quantises a model but for what would cost too much quality, which NNCF finds by trial.

    Args:
      model: An `openvino.Model` in float32.
      calibration: Photos with true alphas, and by how much errors may grow.
      is_photo: As for `quantize_ir`.

    Returns:
      The quantised copy. NNCF stops after a number of trials: whether the bound holds is not
      certain.
    """
    nncf = import_nncf()
    images = calibration.batches

    def validate(compiled: Any, indices: Sequence[int]) -> tuple[float, list[float]]:
        request = compiled.create_infer_request()
        errors = calibration.errors(lambda images: request.infer(images)[0], list(indices))
        # Larger values are better ones to NNCF, and it divides by the mean that it begins with.
        values = [1 - error for error in errors]
        return float(np.mean(values)), values

    with _around_nncf():
        quantized = nncf.quantize_with_accuracy_control(
            model.clone(),
            nncf.Dataset(images),
            nncf.Dataset(range(len(images))),
            validate,
            max_drop=calibration.limit,
            **_settings(nncf, model, images),
            advanced_quantization_parameters=_parameters(nncf),
            advanced_accuracy_restorer_parameters=nncf.AdvancedAccuracyRestorerParameters(
                ranking_subset_size=min(len(images), _RANKED)
            ),
        )
    return _finish(quantized, model, is_photo)


@contextlib.contextmanager
def _around_nncf() -> Iterator[None]:
    """Drops NNCF's bars and remarks, as the command has its own, and puts signals back in order."""
    with contextlib.redirect_stdout(io.StringIO()), keeping_signal_stack():
        yield


def _settings(nncf: Any, model: Any, images: Sequence[np.ndarray]) -> dict[str, Any]:
    """What both of NNCF's ways to quantise are told."""
    return {
        'preset': nncf.QuantizationPreset.PERFORMANCE,
        'subset_size': len(images),
        'ignored_scope': _ignored_scope(nncf, model),
    }


def _parameters(nncf: Any) -> Any:
    # Correcting biases makes up for sums of kernels that rounding changes; here it keeps them.
    return nncf.AdvancedQuantizationParameters(disable_bias_correction=True)


def _ignored_scope(nncf: Any, model: Any) -> Any:
    once = [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() not in _NO_ARITHMETIC
        and len(shape := node.get_output_partial_shape(0)) == 4
        and shape.is_static
        and shape.to_shape()[2:] == [1, 1]
    ]
    return nncf.IgnoredScope(names=once, types=list(FLOAT_KINDS), validate=False)


def _finish(model: Any, exact: Any, is_photo: bool) -> Any:
    """Puts the quantisation where runtimes need it, and rounds the weights anew.

    Args:
      model: What NNCF made; changed in place.
      exact: The model in float32.
      is_photo: Whether it takes photos in [0, 255].
    """
    _round_weights(model, exact)
    for node in _quantizers(model):
        _share(node)
    for node in _quantizers(model):
        _drop_repeated(node)
    for node in model.get_ordered_ops():
        if node.get_type_name() == 'Concat':
            _unify(node)
    if is_photo:
        _quantize_photo(model)
    model.validate_nodes_and_infer_types()
    return model


def _round_weights(model: Any, exact: Any) -> None:
    """Rounds the weights with `round_keeping_sums`, the steps as NNCF chose them."""
    opset = import_openvino().opset13
    kernels = {name: node.data for name, node in _kernels(exact)}
    for name, scaled in _kernels(model):
        if scaled.get_type_name() != 'Multiply':  # it stays in float32
            continue
        converted, step = (value.get_node() for value in scaled.input_values())
        rounded = converted.input_value(0).get_node().data
        # NNCF gives convolutions of the photo half as many steps as others.
        halved = np.abs(rounded.astype(np.int16)).max() <= LARGEST_OF_PHOTO
        largest = LARGEST_OF_PHOTO if halved else LARGEST
        values = round_keeping_sums(kernels[name] / step.data, largest)
        converted.input(0).replace_source_output(opset.constant(values).output(0))


def _kernels(model: Any) -> Iterator[tuple[str, Any]]:
    """The names of convolutions, and the nodes that their weights come from."""
    for node in model.get_ordered_ops():
        if node.get_type_name() in CONVOLUTIONS:
            yield node.get_friendly_name(), node.input_value(1).get_node()


def _quantizers(model: Any) -> list[Any]:
    """The nodes that quantise maps."""
    return [
        node
        for node in model.get_ordered_ops()
        if node.get_type_name() == 'FakeQuantize'
        and node.input_value(0).get_node().get_type_name() != 'Constant'
    ]


def _share(quantizer: Any) -> None:
    """Lets all that read a map read it quantised, so that it is only written in eight bits."""
    for reader in quantizer.input_value(0).get_target_inputs():
        if reader.get_node().get_type_name() not in ('FakeQuantize', 'Result'):
            reader.replace_source_output(quantizer.output(0))


def _drop_repeated(quantizer: Any) -> None:
    """Drops the quantisation of a part of what is quantised already."""
    source = quantizer.input_value(0).get_node()
    while source.get_type_name() in ('Slice', 'StridedSlice'):
        source = source.input_value(0).get_node()
    if source.get_type_name() == 'FakeQuantize':
        for reader in quantizer.output(0).get_target_inputs():
            reader.replace_source_output(quantizer.input_value(0))


def _unify(concat: Any) -> None:
    """Gives maps that are joined one step, the largest, so that joining is copying."""
    joined = _joined_quantizers(concat)
    if len(joined) < 2:
        return
    widest = max(joined, key=lambda node: _bound(node, 2) - _bound(node, 1))
    lowest, highest = (
        choose(_bound(node, i) for node in joined) for i, choose in ((1, min), (2, max))
    )
    if lowest < _bound(widest, 1) or highest > _bound(widest, 2):
        return  # of different signs: none covers all of them
    for node in joined:
        for i in _BOUNDS:
            node.input(i).replace_source_output(widest.input_value(i))


def _joined_quantizers(concat: Any) -> list[Any]:
    found = []
    for value in concat.input_values():
        node = value.get_node()
        if node.get_type_name() == 'FakeQuantize':
            found.append(node)
        elif node.get_type_name() == 'Concat':
            found += _joined_quantizers(node)
    return found


def _bound(quantizer: Any, i: int) -> float:
    return float(quantizer.input_value(i).get_node().data.reshape(-1)[0])


def _quantize_photo(model: Any) -> None:
    """Gives the photo's quantisation the 256 values that a photo has.

    No pixel is rounded where all channels are scaled alike; where they are not, 256 steps cover
    the values of all of them.
    """
    ov = import_openvino()
    for quantizer in _quantizers(model):
        source = quantizer.input_value(0)
        if not _is_photo(source.get_node()):
            continue
        part = ov.Model([source], model.get_parameters(), 'photo')
        scale = openvino_core().compile_model(part, 'CPU')
        shape = model.inputs[0].get_partial_shape().to_shape()
        # Copied: the next run writes into the same memory.
        ends = [scale(np.full(shape, value, np.float32))[0].copy() for value in (0.0, _LEVELS)]
        for i, value in zip(_BOUNDS, [ends[0].min(), ends[1].max()] * 2, strict=True):
            constant = ov.opset13.constant(np.full([1] * len(shape), value, np.float32))
            quantizer.input(i).replace_source_output(constant.output(0))


def _is_photo(node: Any) -> bool:
    """Whether a node is the network's input, scaled and transposed at most."""
    if node.get_type_name() == 'Parameter':
        return True
    if node.get_type_name() not in ('Multiply', 'Subtract', 'Add', 'Transpose'):
        return False
    return _is_photo(node.input_value(0).get_node())
