"""ONNX models: ONNX's own operators only, no control flow, nothing outside the file."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.errors import ArtefactError
from mattingjax.inference.screening.file_checks import check_node_count, read_structured
from mattingjax.inference.screening.memory import Step
from mattingjax.inference.screening.protobuf import ONNX_DATA
from mattingjax.inference.screening.work import count_work

_DOMAINS = ('', 'ai.onnx')
# Sizes are computed in the graph, of constants and of other sizes. These operators do it; their
# values are followed where they have at most so many elements.
_SIZE_OPS = frozenset((
    'Abs', 'Add', 'And', 'Cast', 'Ceil', 'Concat', 'Constant', 'ConstantOfShape', 'Div', 'Equal',
    'Expand', 'Floor', 'Gather', 'Greater', 'Identity', 'Less', 'Max', 'Min', 'Mod', 'Mul', 'Neg',
    'Not', 'Or', 'Range', 'ReduceProd', 'Reshape', 'Round', 'Slice', 'Split', 'Squeeze', 'Sub',
    'Transpose', 'Unsqueeze', 'Where',
))  # fmt: skip
_MAX_FOLLOWED = 1024
# Bytes of an element, by the number of its type: float, uint8, int8, uint16, int16, int32, int64,
# bool, half, double, uint32, uint64, bfloat16. Not text, which has any length.
_ITEM_SIZES = {
    1: 4, 2: 1, 3: 1, 4: 2, 5: 2, 6: 4, 7: 8, 9: 1, 10: 2, 11: 8, 12: 4, 13: 8, 16: 2
}  # fmt: skip


def read_onnx(path: Path) -> Any:
    """Reads an ONNX model without running or loading anything else.

    Returns:
      The `onnx.ModelProto`, for `list_onnx_steps`: without the data of its larger tensors.

    Raises:
      ArtefactError: It is damaged, has operators of other makers, functions or control flow, or
        declares more data than it holds.
      ImportError: The package `onnx` is not installed.
    """
    import onnx

    content = read_structured(path, ONNX_DATA, 'ONNX')
    try:
        model = onnx.ModelProto.FromString(content)
    except Exception as error:  # protobuf's own types
        raise ArtefactError(f'{path}: ONNX cannot read it (no ONNX model)') from error
    _check_text(path, model.graph)
    check_node_count(path, len(model.graph.node))
    if model.training_info:
        raise ArtefactError(f'{path}: expected no training_info, found {len(model.training_info)}')
    for function in model.functions:
        raise ArtefactError(f'{path}: expected no functions, found {function.name!r}')
    for sparse in model.graph.sparse_initializer:
        raise ArtefactError(f'{path}: {sparse.values.name}: a sparse tensor; expected none')
    for tensor in model.graph.initializer:
        _check_tensor(f'{path}: {tensor.name}', tensor)
        if math.prod(tensor.dims) > _MAX_FOLLOWED:
            tensor.ClearField('raw_data')
    for node in model.graph.node:
        where = f'{path}: {_name(node)}'
        if node.domain not in _DOMAINS:
            raise ArtefactError(
                f"{where}: expected an operator of ONNX's own, found {node.op_type!r} of "
                f'{node.domain!r}'
            )
        for attribute in node.attribute:
            if attribute.HasField('g') or attribute.graphs:
                raise ArtefactError(
                    f'{where}: {node.op_type}: control flow; a matting network has none'
                )
            if attribute.HasField('sparse_tensor') or attribute.sparse_tensors:
                raise ArtefactError(f'{where}: {attribute.name}: a sparse tensor; expected none')
            for tensor in (attribute.t, *attribute.tensors):
                _check_tensor(f'{where}: {attribute.name}', tensor)
    return model


def _check_text(path: Path, graph: Any) -> None:
    """Raises ArtefactError for names that are no UTF-8, which runtimes cannot even report."""
    names = [tensor.name for tensor in graph.initializer]
    names += [value.name for value in (*graph.input, *graph.output)]
    for node in graph.node:
        names += [node.name, node.op_type, node.domain, *node.input, *node.output]
        names += [attribute.name for attribute in node.attribute]
    for name in names:
        if isinstance(name, bytes):
            raise ArtefactError(f'{path}: expected names in UTF-8, found {name!r}: damaged')


def _check_tensor(where: str, tensor: Any) -> None:
    import onnx

    if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
        raise ArtefactError(f'{where}: its data is in another file, which is not read')
    if not tensor.data_type:
        return  # an attribute that is none
    if tensor.data_type not in _ITEM_SIZES:
        raise ArtefactError(f'{where}: expected a tensor of numbers, found type {tensor.data_type}')
    if any(size < 0 for size in tensor.dims):
        raise ArtefactError(f'{where}: expected sizes of at least 0, found {list(tensor.dims)}')
    held = len(tensor.raw_data) or max(
        len(getattr(tensor, field))
        for field in ('float_data', 'int32_data', 'int64_data', 'double_data', 'uint64_data')
    )
    if math.prod(tensor.dims) > held:  # at least a byte an element, or one of a typed field
        raise ArtefactError(
            f'{where}: declares a tensor of {list(tensor.dims)!r:.60} and holds {held} values'
        )


def _name(node: Any) -> str:
    return node.name or ''.join(node.output[:1])


def onnx_inputs(model: Any) -> dict[str, tuple[int | None, ...]]:
    """Name of each input → its shape; None for a side that may have any size."""
    constants = {tensor.name for tensor in model.graph.initializer}
    return {
        value.name: tuple(
            dimension.dim_value if dimension.HasField('dim_value') else None
            for dimension in value.type.tensor_type.shape.dim
        )
        for value in model.graph.input
        if value.name not in constants
    }


def list_onnx_steps(model: Any, shape: tuple[int, ...]) -> Iterator[Step]:
    """The nodes of an ONNX model.

    Sizes come from ONNX's own shape inference, node by node; values that sizes are computed from
    are followed.

    Args:
      model: An `onnx.ModelProto` of one input, as `read_onnx` returns it.
      shape: Shape of the input.

    Raises:
      ArtefactError: The graph does not fit together; the message begins with the node.
    """
    from onnx import helper

    return _Inference(model, shape, helper).steps()


class _Inference:
    """Types of all tensors, and the values of small ones, as far as the nodes have been seen."""

    def __init__(self, model: Any, shape: tuple[int, ...], helper: Any):
        self._model, self._helper = model, helper
        constants = {tensor.name: tensor for tensor in model.graph.initializer}
        (source,) = (value for value in model.graph.input if value.name not in constants)
        self._types = {
            name: helper.make_tensor_type_proto(tensor.data_type, list(tensor.dims))
            for name, tensor in constants.items()
        }
        element_type = source.type.tensor_type.elem_type
        self._types[source.name] = helper.make_tensor_type_proto(element_type, list(shape))
        self._values = {
            name: tensor
            for name, tensor in constants.items()
            if math.prod(tensor.dims) <= _MAX_FOLLOWED
        }

    def steps(self) -> Iterator[Step]:
        for name, tensor in self._types.items():
            yield Step(name, [], {name: self._size(name, tensor)})
        for node in self._model.graph.node:
            name = f'{_name(node)} ({node.op_type})'
            outputs = [output for output in node.output if output]
            if twice := [output for output in outputs if output in self._types]:
                raise ArtefactError(f'{name}: makes {twice[0]!r}, which is there already')
            try:
                self._types |= self._infer(node)
            except Exception as error:  # ONNX's own types
                reason = ' '.join(str(error).split()) or type(error).__name__
                raise ArtefactError(f'{name}: does not fit together ({reason:.120})') from error
            sizes = {output: self._size(name, self._types.get(output)) for output in outputs}
            inputs = [source for source in node.input if source]
            yield Step(name, inputs, sizes, self._work(node, outputs))
            self._follow(node, outputs)

    def _infer(self, node: Any) -> dict[str, Any]:
        import onnx

        versions = {item.domain: item.version for item in self._model.opset_import}
        version = versions.get(node.domain, versions.get('', 1))
        schema = onnx.defs.get_schema(node.op_type, version, '')
        names = [name for name in node.input if name]
        if node.op_type == 'Range' and all(name in self._values for name in names):
            return self._infer_range(node)
        return onnx.shape_inference.infer_node_outputs(
            schema,
            node,
            {name: self._types[name] for name in names},
            {name: self._values[name] for name in names if name in self._values},
            opset_imports=list(self._model.opset_import),
            ir_version=self._model.ir_version,
        )

    def _infer_range(self, node: Any) -> dict[str, Any]:
        # ONNX counts in numbers that overflow, and then finds a long range to be empty.
        from onnx import numpy_helper

        first, last, step = (numpy_helper.to_array(self._values[x]).item() for x in node.input)
        count = max(0, int(-((first - last) // step)))
        element_type = self._types[node.input[0]].tensor_type.elem_type
        return {node.output[0]: self._helper.make_tensor_type_proto(element_type, [count])}

    def _work(self, node: Any, outputs: list[str]) -> int:
        inputs, made = (
            [self._shape(self._types.get(name)) or [] for name in names]
            for names in (node.input, outputs)
        )
        window = [size for x in node.attribute if x.name == 'kernel_shape' for size in x.ints]
        return count_work(node.op_type, inputs, made, window)

    def _shape(self, tensor: Any) -> list[int] | None:
        """Sizes of a tensor's sides; None if one is unknown, or there is no tensor."""
        if tensor is None or not tensor.tensor_type.HasField('shape'):
            return None
        dimensions = tensor.tensor_type.shape.dim
        if not all(dimension.HasField('dim_value') for dimension in dimensions):
            return None
        return [dimension.dim_value for dimension in dimensions]

    def _size(self, name: str, tensor: Any) -> int | None:
        shape = self._shape(tensor)
        if shape is None or any(size < 0 for size in shape):
            return None
        kind = tensor.tensor_type.elem_type
        if kind not in _ITEM_SIZES:
            raise ArtefactError(f'{name}: expected a tensor of numbers, found type {kind}')
        return math.prod(shape) * _ITEM_SIZES[kind]

    def _wrap(self, node: Any, outputs: list[str]) -> Any:
        """A node as a model, of the same version of the operators."""
        graph = self._helper.make_graph(
            [node],
            'node',
            [self._helper.make_value_info(name, self._types[name]) for name in node.input if name],
            [self._helper.make_value_info(name, self._types[name]) for name in outputs],
        )
        return self._helper.make_model(graph, opset_imports=list(self._model.opset_import))

    def _follow(self, node: Any, outputs: list[str]) -> None:
        """Computes the outputs of a node from which sizes may be computed."""
        from onnx import numpy_helper
        from onnx.reference import ReferenceEvaluator

        shapes = [self._shape(self._types.get(name)) for name in outputs]
        if any(shape is None or math.prod(shape) > _MAX_FOLLOWED for shape in shapes):
            return
        if node.op_type in ('Shape', 'Size'):
            shape = self._shape(self._types[node.input[0]]) or []
            bounds = {item.name: item.i for item in node.attribute}
            value = np.array(shape[bounds.get('start', 0) : bounds.get('end')], np.int64)
            if node.op_type == 'Size':
                value = np.array(math.prod(shape), np.int64)
            self._values[outputs[0]] = numpy_helper.from_array(value)
            return
        names = [name for name in node.input if name]
        if node.op_type not in _SIZE_OPS or not all(name in self._values for name in names):
            return
        arrays = {name: numpy_helper.to_array(self._values[name]) for name in names}
        try:
            results = ReferenceEvaluator(self._wrap(node, outputs)).run(None, arrays)
            self._values |= {
                name: numpy_helper.from_array(np.asarray(result))
                for name, result in zip(outputs, results, strict=True)
            }
        except Exception:  # NumPy's own types; what cannot be followed stays unknown
            return
