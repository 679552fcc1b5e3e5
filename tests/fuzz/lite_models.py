"""Damaged and hostile LiteRT models."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz.artefacts import damage_manifest, use_artefact, write_manifest
from tests.fuzz.mutations import NUMBERS, mutate_bytes
from tests.inference.screening import lite_models


def write_lite(folder: Path) -> None:
    (folder / 'model.tflite').write_bytes(lite_models.brightness().pack())
    write_manifest(folder, 'model.tflite')


def make_lite(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    shutil.copytree(samples, folder, dirs_exist_ok=True)
    damage_manifest(rng, folder, 'model.tflite')
    path = folder / 'model.tflite'
    builders = [lite_models.network, lite_models.integers, lite_models.brightness]
    builder = builders[rng.choice(len(builders), p=[0.5, 0.3, 0.2])]()
    if rng.integers(3):
        for _ in range(rng.integers(1, 3)):
            _CHANGES[rng.integers(len(_CHANGES))](rng, builder)
        path.write_bytes(builder.pack())
    else:
        path.write_bytes(mutate_bytes(rng, builder.pack()))


def _pick(rng: np.random.Generator, items: list[Any]) -> Any:
    return items[rng.integers(len(items))]


def _number(rng: np.random.Generator, bits: int = 32) -> int:
    """A number that hardly anything expects, or one near to what is right."""
    number = _pick(rng, [*NUMBERS, 2, 4, 8, 31, 33, -2])
    return (number + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def _change_options(rng: np.random.Generator, builder: Any) -> None:
    """Strides, paddings, activations, axes; or they are missing, or of another type."""
    with_options = [item for item in builder.graph.operators if item.builtinOptions is not None]
    if not with_options:
        return
    options = _pick(rng, with_options)
    if rng.integers(4) == 0:
        options.builtinOptions = None
        options.builtinOptionsType = int(rng.integers(0, 2)) * options.builtinOptionsType
        return
    values = vars(options.builtinOptions)
    if values:
        name = _pick(rng, list(values))
        narrow = name in ('padding', 'fusedActivationFunction', 'quantizedBiasType')
        values[name] = (
            bool(rng.integers(2))
            if isinstance(values[name], bool)
            else _number(rng, 8 if narrow else 32)
        )


def _change_tensor(rng: np.random.Generator, builder: Any) -> None:
    tensor = _pick(rng, builder.graph.tensors)
    choice = rng.integers(6)
    if choice == 0:
        sides = [int(side) for side in tensor.shape]
        sides[rng.integers(len(sides)) if sides else 0 :][:1] = [_number(rng)]
        tensor.shape = np.int32(sides)
    elif choice == 1:
        tensor.shape = np.int32([_number(rng) for _ in range(rng.integers(9))])
    elif choice == 2:
        tensor.type = int(rng.integers(-1, 20))
    elif choice == 3:
        tensor.buffer = int(rng.integers(len(builder.model.buffers) + 2))
    elif choice == 4:
        tensor.isVariable = True
    else:
        tensor.name = b'\x1b[31m' * int(rng.choice([1, 5000]))


def _change_scales(rng: np.random.Generator, builder: Any) -> None:
    integers = [tensor for tensor in builder.graph.tensors if tensor.quantization]
    tensor = _pick(rng, integers if integers and rng.integers(2) else builder.graph.tensors)
    values = [0, -1, 1e-45, 1e-20, 1e-3, 1, 1e3, 1e20, 1e38, np.nan, np.inf]
    count = int(rng.choice([0, 1, 1, 1, 1, 4, 100]))
    tensor.quantization = builder.schema.QuantizationParametersT(
        scale=np.float32(rng.choice(values, count)),
        zeroPoint=np.int64([_number(rng, 64) if rng.integers(2) else 0 for _ in range(count)]),
        quantizedDimension=_number(rng) if rng.integers(3) == 0 else int(rng.integers(4)),
    )


def _change_all_scales(rng: np.random.Generator, builder: Any) -> None:
    """All together, by one factor or each by one of its own, and all zero points of int8."""
    quantised = [tensor for tensor in builder.graph.tensors if tensor.quantization]
    around = float(rng.choice([-149, -126, -41, -40, -33, 0, 33, 40, 41, 100, 127]))
    spread = float(rng.choice([0, 0, 8, 16, 40]))
    zero = int(rng.choice([-(2**63), -129, -128, 0, 0, 0, 127, 128]))
    for tensor in quantised:
        scales = tensor.quantization
        count = len(scales.scale)
        powers = np.clip(around + rng.uniform(-spread, spread, count), -149, 127.9)
        scales.scale = np.float32(2.0**powers)
        if not tensor.buffer:  # weights are around 0
            scales.zeroPoint = np.full(count, zero)


def _change_numbers(rng: np.random.Generator, builder: Any) -> None:
    """The elements of a constant, such as pads, axes and sizes; or how many there are."""
    buffer = _pick(rng, builder.model.buffers[1:])
    values = np.array(buffer.data)
    if rng.integers(3) == 0:
        buffer.data = values[: rng.integers(len(values))]
    elif len(values) and len(values) % 4 == 0:
        numbers = values.view(np.int32)
        numbers[rng.integers(len(numbers))] = _number(rng)
        buffer.data = numbers.view(np.uint8)


def _change_wiring(rng: np.random.Generator, builder: Any) -> None:
    operator = _pick(rng, builder.graph.operators)
    ends = operator.inputs if rng.integers(3) else operator.outputs
    choice = rng.integers(4)
    if choice == 0:
        ends.append(0)
    elif choice == 1 and ends:
        ends.pop()
    elif ends:
        near = rng.integers(-2, len(builder.graph.tensors) + 2)
        ends[rng.integers(len(ends))] = int(near) if rng.integers(3) else _number(rng)


def _change_kind(rng: np.random.Generator, builder: Any) -> None:
    """Another operation, built in, custom, or one with graphs or states of its own."""
    code = _pick(rng, builder.model.operatorCodes)
    code.builtinCode = int(rng.integers(0, 210))
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    code.version = int(rng.choice([0, 1, 2, 5, 99, -1, 2**31 - 1]))
    if code.builtinCode == 32:
        code.customCode = b'FlexWriteFile'


def _change_order(rng: np.random.Generator, builder: Any) -> None:
    rng.shuffle(builder.graph.operators)


def _change_graphs(rng: np.random.Generator, builder: Any) -> None:
    builder.model.subgraphs = [builder.graph] * int(rng.choice([0, 2, 1000]))


def _change_signatures(rng: np.random.Generator, builder: Any) -> None:
    for _ in range(rng.integers(1, 4)):
        ends = [[_number(rng) % 2**32 for _ in range(rng.integers(4))] for _ in range(2)]
        builder.sign(*ends, int(rng.choice([0, 0, 1, 2**32 - 1])))


_CHANGES = (
    _change_options, _change_options, _change_tensor, _change_scales, _change_all_scales,
    _change_numbers, _change_wiring, _change_kind, _change_order, _change_graphs,
    _change_signatures,
)  # fmt: skip


def use_lite(folder: Path) -> None:
    use_artefact(folder / 'model.tflite')
