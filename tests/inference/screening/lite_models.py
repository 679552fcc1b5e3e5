"""Small LiteRT models, made of the objects of their schema without TensorFlow."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mattingjax.errors import ArtefactError
from mattingjax.inference.sessions import create_session

SHAPE = (1, 32, 32, 3)
SCALE = 1 / 64  # of the int8 tensors


class Builder:
    """A model of one graph, operation by operation; tensor 0 is its input."""

    def __init__(self, shape: Sequence[int] = SHAPE):
        from ai_edge_litert import schema_py_generated as schema

        self.schema = schema
        self.graph = schema.SubGraphT(tensors=[], inputs=[0], operators=[], name=b'main')
        self.model = schema.ModelT(
            version=3,
            operatorCodes=[],
            subgraphs=[self.graph],
            description=b'test',
            buffers=[schema.BufferT()],
            metadata=[],
        )
        self.tensor('input', shape)

    def tensor(
        self, name: str, shape: Sequence[int], kind: str = 'FLOAT32', buffer: int = 0
    ) -> int:
        self.graph.tensors.append(
            self.schema.TensorT(
                name=name.encode(),
                shape=np.int32(shape),
                type=getattr(self.schema.TensorType, kind),
                buffer=buffer,
            )
        )
        number = len(self.graph.tensors) - 1
        if kind == 'INT8':
            self.scale(number, [SCALE])
        return number

    def scale(
        self, number: int, scales: Sequence[float], zeros: int | Sequence[int] = 0, axis: int = 0
    ) -> None:
        """Gives a tensor scales, and zero points or one for all."""
        zeros = [zeros] * len(scales) if isinstance(zeros, int) else zeros
        self.graph.tensors[number].quantization = self.schema.QuantizationParametersT(
            scale=np.float32(scales), zeroPoint=np.int64(zeros), quantizedDimension=axis
        )

    def sign(self, inputs: Sequence[int], outputs: Sequence[int], graph: int = 0) -> None:
        """Adds a signature that names these tensors."""
        maps = [
            [self.schema.TensorMapT(name=b'end', tensorIndex=number) for number in numbers]
            for numbers in (inputs, outputs)
        ]
        signature = self.schema.SignatureDefT(*maps, b'serving_default', graph)
        self.model.signatureDefs = [*(self.model.signatureDefs or []), signature]

    def constant(self, values: Any, kind: str = 'FLOAT32') -> int:
        values = np.asarray(values, kind.lower())
        content = np.frombuffer(values.tobytes(), np.uint8)
        self.model.buffers.append(self.schema.BufferT(data=content))
        name = f'constant{len(self.graph.tensors)}'
        return self.tensor(name, values.shape, kind, len(self.model.buffers) - 1)

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        shape: Sequence[int],
        options: str = '',
        **values: Any,
    ) -> int:
        """Adds an operation, with options of a type such as 'Conv2D'; returns its output."""
        types = [self.graph.tensors[i].type for i in inputs]
        made = 'INT8' if types[0] == self.schema.TensorType.INT8 else 'FLOAT32'
        made = {'QUANTIZE': 'INT8', 'DEQUANTIZE': 'FLOAT32'}.get(kind, made)
        output = self.tensor(f'{kind.lower()}{len(self.graph.tensors)}', shape, made)
        number = getattr(self.schema.BuiltinOperator, kind)
        self.model.operatorCodes.append(
            self.schema.OperatorCodeT(deprecatedBuiltinCode=number, builtinCode=number, version=1)
        )
        operator = self.schema.OperatorT(
            opcodeIndex=len(self.model.operatorCodes) - 1, inputs=list(inputs), outputs=[output]
        )
        if options:
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, f'{options}Options')
            operator.builtinOptions = getattr(self.schema, f'{options}OptionsT')(**values)
        self.graph.operators.append(operator)
        return output

    def pack(self, output: int | None = None, metadata: str | None = None) -> bytes:
        """The content of the file; its output is the last tensor if none is named."""
        import flatbuffers

        last = len(self.graph.tensors) - 1 if output is None else output
        self.graph.outputs = [last]
        if metadata is not None:
            self.model.buffers.append(
                self.schema.BufferT(data=np.frombuffer(metadata.encode(), np.uint8))
            )
            entry = self.schema.MetadataT(name=b'mattingjax', buffer=len(self.model.buffers) - 1)
            self.model.metadata.append(entry)
        builder = flatbuffers.Builder(1024)
        builder.Finish(self.model.Pack(builder), b'TFL3')
        return bytes(builder.Output())


def brightness() -> Builder:
    """The mean of the three colours, divided by 255."""
    builder = Builder()
    mean = builder.add(
        'MEAN', [0, builder.constant([3], 'INT32')], (*SHAPE[:3], 1), 'Reducer', keepDims=True
    )
    top = builder.constant(np.float32(1 / 255))
    builder.add('MUL', [mean, top], (*SHAPE[:3], 1), 'Mul')
    return builder


def network() -> Builder:
    """One of each of most operations; between two of them in int8."""
    builder = Builder()
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> int:
        return builder.constant(rng.normal(0, 0.01, shape))

    half = (1, 16, 16, 4)
    step = {'strideW': 2, 'strideH': 2, 'fusedActivationFunction': 3}
    x = builder.add('CONV_2D', [0, normal(4, 3, 3, 3), normal(4)], half, 'Conv2D', **step)
    pads = builder.constant([[0, 0], [1, 1], [1, 1], [0, 0]], 'INT32')
    x = builder.add('PAD', [x, pads], (1, 18, 18, 4), 'Pad')
    one = {'strideW': 1, 'strideH': 1, 'padding': 1, 'depthMultiplier': 1}
    kernel = normal(1, 3, 3, 4)
    x = builder.add('DEPTHWISE_CONV_2D', [x, kernel, normal(4)], half, 'DepthwiseConv2D', **one)
    q = builder.add('QUANTIZE', [x], half, 'Quantize')
    p = builder.add(
        'AVERAGE_POOL_2D', [q], (1, 8, 8, 4), 'Pool2D',
        strideW=2, strideH=2, filterWidth=2, filterHeight=2,
    )  # fmt: skip
    p = builder.add(
        'RESIZE_BILINEAR', [p, builder.constant([16, 16], 'INT32')], half, 'ResizeBilinear',
        halfPixelCenters=True,
    )  # fmt: skip
    q = builder.add('ADD', [q, p], half, 'Add')
    q = builder.add('CONCATENATION', [q, p], (*half[:3], 8), 'Concatenation', axis=3)
    x = builder.add('DEQUANTIZE', [q], (*half[:3], 8), 'Dequantize')
    axes = builder.constant([1, 2], 'INT32')
    mean = builder.add('MEAN', [x, axes], (1, 1, 1, 8), 'Reducer', keepDims=True)
    x = builder.add('SQUARED_DIFFERENCE', [x, mean], (*half[:3], 8), 'SquaredDifference')
    start, size = (builder.constant(v, 'INT32') for v in ([0, 0, 0, 2], [1, 16, 16, 1]))
    x = builder.add('SLICE', [x, start, size], (*half[:3], 1), 'Slice')
    size = builder.constant(SHAPE[1:3], 'INT32')
    x = builder.add('RESIZE_NEAREST_NEIGHBOR', [x, size], (*SHAPE[:3], 1), 'ResizeNearestNeighbor')
    builder.add('LOGISTIC', [x], (*SHAPE[:3], 1))
    return builder


def integers(scale: float = SCALE, zero: int = 0) -> Builder:
    """Two convolutions and a sum in int8, all with one scale and zero point but for the weights."""
    builder = Builder()
    shape = (*SHAPE[:3], 4)

    def weights(*sides: int, axis: int) -> list[int]:
        kernel = builder.constant(np.ones(sides), 'INT8')
        builder.scale(kernel, [SCALE] * 4, axis=axis)
        bias = builder.constant([64] * 4, 'INT32')
        builder.scale(bias, [scale * SCALE] * 4)
        return [kernel, bias]

    step = {'strideW': 1, 'strideH': 1}
    made = [builder.add('QUANTIZE', [0], SHAPE, 'Quantize')]
    made.append(
        builder.add('CONV_2D', [made[0], *weights(4, 1, 1, 3, axis=0)], shape, 'Conv2D', **step)
    )
    read = [made[1], *weights(1, 1, 1, 4, axis=3)]
    options = {**step, 'depthMultiplier': 1}
    made.append(builder.add('DEPTHWISE_CONV_2D', read, shape, 'DepthwiseConv2D', **options))
    made.append(builder.add('ADD', made[1:], shape, 'Add'))
    for number in made:
        builder.scale(number, [scale], zero)
    builder.add('DEQUANTIZE', made[-1:], shape, 'Dequantize')
    return builder


def refuse(path: Path, builder: Builder, message: str) -> None:
    """Asserts that a session refuses a model, with a message of one line."""
    path.write_bytes(builder.pack())
    with pytest.raises(ArtefactError, match=rf'model\.tflite: .*{message}') as caught:
        create_session(path)
    assert '\n' not in str(caught.value)
