"""How much arithmetic one operation does at most, computed from the sizes of its tensors."""

from __future__ import annotations

import math
from collections.abc import Sequence

Shapes = Sequence[Sequence[int]]

# Names are those of ONNX, OpenVINO and TensorFlow together. The pair of each convolution says which
# input holds its weights, and how many of their first sides are not summed over.
_CONVOLUTIONS = {
    'Conv': (1, 1), 'ConvInteger': (1, 1), 'QLinearConv': (3, 1),
    'Convolution': (1, 1), 'GroupConvolution': (1, 2),
}  # fmt: skip
_TRANSPOSED = {
    'ConvTranspose': 1, 'ConvolutionBackpropData': 1, 'GroupConvolutionBackpropData': 2
}  # fmt: skip
# How many of the first sides of the weights are summed over.
_TENSORFLOW_CONVOLUTIONS = {'Conv2D': 3, 'DepthwiseConv2dNative': 2}
_PRODUCTS = {
    'MatMul': 1, 'Gemm': 1, 'MatMulInteger': 1, 'QLinearMatMul': 3, 'BatchMatMulV2': 1
}  # fmt: skip
_POOLS = ('AveragePool', 'AvgPool', 'MaxPool', 'LpPool')
# A fixed number of operations for each element that is read or made.
_ELEMENTWISE = frozenset((
    'Abs', 'Acos', 'Acosh', 'Add', 'AddV2', 'And', 'ArgMax', 'ArgMin', 'Asin', 'Asinh', 'Atan',
    'Atanh', 'BatchNormInference', 'BatchNormalization', 'BatchToSpace', 'BatchToSpaceND',
    'BiasAdd', 'BitShift', 'BitwiseAnd', 'BitwiseNot', 'BitwiseOr', 'BitwiseXor', 'Broadcast',
    'Cast', 'CastLike', 'Ceil', 'Ceiling', 'Celu', 'Clamp', 'Clip', 'Concat', 'ConcatV2', 'Const',
    'Constant', 'ConstantOfShape', 'Convert', 'ConvertLike', 'Cos', 'Cosh', 'CumSum',
    'DepthToSpace', 'DequantizeLinear', 'Div', 'Divide', 'Dropout', 'DynamicQuantizeLinear', 'Elu',
    'Equal', 'Erf', 'Exp', 'Expand', 'ExpandDims', 'FakeQuantize', 'Flatten', 'Floor', 'FloorMod',
    'FusedBatchNorm', 'FusedBatchNormV3', 'Gather', 'GatherElements', 'GatherND', 'Gelu',
    'GlobalAveragePool', 'GlobalMaxPool', 'Greater', 'GreaterEqual', 'GreaterOrEqual', 'GridSample',
    'GroupNormalization', 'HSigmoid', 'HSwish', 'HardSigmoid', 'HardSwish', 'Hardmax', 'Identity',
    'InstanceNormalization', 'Interpolate', 'IsFinite', 'IsInf', 'IsNaN', 'LayerNormalization',
    'LeakyRelu', 'Less', 'LessEqual', 'LessOrEqual', 'Log', 'LogSoftmax', 'LogicalAnd',
    'LogicalNot', 'LogicalOr', 'LogicalXor', 'LpNormalization', 'MVN', 'Max', 'Maximum', 'Mean',
    'Min', 'Minimum', 'MirrorPad', 'Mish', 'Mod', 'Mul', 'Multiply', 'Neg', 'Negative',
    'NormalizeL2', 'Not', 'NotEqual', 'Or', 'PRelu', 'Pad', 'PadV2', 'Parameter', 'Placeholder',
    'Pow', 'Power', 'QuantizeLinear', 'Range', 'RealDiv', 'Reciprocal', 'ReduceL1', 'ReduceL2',
    'ReduceLogSum', 'ReduceLogSumExp', 'ReduceMax', 'ReduceMean', 'ReduceMin', 'ReduceProd',
    'ReduceSum', 'ReduceSumSquare', 'Relu', 'Relu6', 'Reshape', 'Resize', 'ResizeBilinear',
    'ResizeNearestNeighbor', 'Result', 'ReverseSequence', 'Round', 'Rsqrt', 'ScatterElements',
    'ScatterND', 'Select', 'Selu', 'Shape', 'ShapeOf', 'Shrink', 'Sigmoid', 'Sign', 'Sin', 'Sinh',
    'Size', 'Slice', 'SoftPlus', 'Softmax', 'Softplus', 'Softsign', 'SpaceToBatch',
    'SpaceToBatchND', 'SpaceToDepth', 'Split', 'Sqrt', 'Square', 'SquaredDifference', 'Squeeze',
    'StridedSlice', 'Sub', 'Subtract', 'Sum', 'Swish', 'Tan', 'Tanh', 'ThresholdedRelu', 'Tile',
    'TopK', 'Transpose', 'Trilu', 'Unsqueeze', 'Upsample', 'VariadicSplit', 'Where', 'Xor',
))  # fmt: skip


def count_work(kind: str, inputs: Shapes, outputs: Shapes, window: Sequence[int] = ()) -> int:
    """The most multiply-adds, or operations of one element, that an operation needs.

    Args:
      kind: Its name in ONNX, OpenVINO or TensorFlow. An unknown operation is taken to combine
        every element with every other.
      inputs: Shapes of the tensors that it reads, in the operation's order.
      outputs: Shapes of the tensors that it makes.
      window: The sides of a pool's window; empty for other operations.
    """
    elements = [math.prod(shape) for shape in (*inputs, *outputs)]
    moved = sum(elements)
    if kind in _ELEMENTWISE:
        return moved
    if not outputs:
        return 0
    made = math.prod(outputs[0])
    try:
        if kind in _CONVOLUTIONS:
            weights, kept = _CONVOLUTIONS[kind]
            return moved + made * math.prod(inputs[weights][kept:])
        if kind in _TENSORFLOW_CONVOLUTIONS:
            return moved + made * math.prod(inputs[1][: _TENSORFLOW_CONVOLUTIONS[kind]])
        if kind in _TRANSPOSED:
            return moved + elements[0] * math.prod(inputs[1][_TRANSPOSED[kind] :])
        if kind in _PRODUCTS:
            # [M, K] × [K, N] is M·K·N; more than that where all three have further sides.
            return moved + math.isqrt(elements[0] * math.prod(inputs[_PRODUCTS[kind]]) * made) + 1
    except IndexError:  # an input too few: no runtime takes it
        return moved
    if kind in _POOLS:
        return moved + made * math.prod(window)
    return math.prod(max(1, count) for count in elements)
