"""Damaged and hostile ONNX models."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.importers import import_weights
from mattingjax.inference.sessions import METADATA_KEY
from tests.fuzz import traps
from tests.fuzz.artefacts import SHAPE, SIDE, signature, use_artefact
from tests.fuzz.mutations import mutate_bytes, mutate_json, nested


def _brightness() -> Any:
    """A network whose alpha is the brightness of the photo, its signature in itself."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node('ReduceMean', ['input', 'axes'], ['mean'], keepdims=1),
            helper.make_node('Div', ['mean', 'top'], ['output']),
        ],
        'brightness',
        [helper.make_tensor_value_info('input', TensorProto.FLOAT, SHAPE)],
        [helper.make_tensor_value_info('output', TensorProto.FLOAT, [1, SIDE, SIDE, 1])],
        [
            helper.make_tensor('axes', TensorProto.INT64, [1], [3]),
            helper.make_tensor('top', TensorProto.FLOAT, [], [255]),
        ],
    )
    opsets = [helper.make_opsetid('', 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: json.dumps({'signature': signature()})})
    return model


def write_onnx(folder: Path) -> None:
    (folder / 'model.onnx').write_bytes(_brightness().SerializeToString())


def make_onnx(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    path = folder / 'model.onnx'
    if rng.integers(3) == 0:
        path.write_bytes(mutate_bytes(rng, (samples / 'model.onnx').read_bytes()))
        return
    model = _brightness()
    _ONNX_CHANGES[rng.integers(len(_ONNX_CHANGES))](rng, model)
    path.write_bytes(model.SerializeToString())


def _insert(model: Any, op: str, inputs: list[str], outputs: int = 1, **attributes: Any) -> None:
    """A node before the last, whose first output the last takes for the mean."""
    from onnx import helper

    names = [f'new{i}' for i in range(outputs)]
    last = model.graph.node.pop()
    model.graph.node.append(helper.make_node(op, inputs, names, **attributes))
    last.input[0] = names[0]
    model.graph.node.append(last)


def _constant(model: Any, name: str, values: Any, dtype: Any = np.int64) -> str:
    from onnx import numpy_helper

    model.graph.initializer.append(numpy_helper.from_array(np.asarray(values, dtype), name))
    return name


def _onnx_huge_initializer(rng: np.random.Generator, model: Any) -> None:
    tensor = model.graph.initializer[int(rng.integers(2))]
    tensor.dims[:] = [int(n) for n in rng.choice([1, 2**20, 2**31, 2**40, 0, -1], 3)]
    if rng.integers(2):
        tensor.ClearField('raw_data')
        tensor.ClearField('float_data')


def _onnx_huge_value(rng: np.random.Generator, model: Any) -> None:
    """Nodes that make gigabytes out of a few numbers."""
    size = int(rng.choice([2**28, 2**31, 2**34, 2**40]))
    choice = rng.integers(5)
    if choice == 0:
        _insert(model, 'ConstantOfShape', [_constant(model, 'shape', [size, 4])])
    elif choice == 1:
        _insert(model, 'Expand', ['mean', _constant(model, 'shape', [size, SIDE, SIDE, 1])])
    elif choice == 2:
        _insert(model, 'Tile', ['mean', _constant(model, 'repeats', [size >> 8, 1, 1, 1])])
    elif choice == 3:
        _insert(model, 'Pad', ['mean', _constant(model, 'pads', [size >> 8, 0, 0, 0] * 2)])
    else:
        ends = [_constant(model, f'end{i}', n) for i, n in enumerate((0, size, 1))]
        _insert(model, 'Range', ends)


def _onnx_loop(rng: np.random.Generator, model: Any) -> None:
    from onnx import TensorProto, helper

    body = helper.make_graph(
        [
            helper.make_node('Identity', ['condition'], ['condition_out']),
            helper.make_node('Identity', ['value'], ['value_out']),
        ],
        'body',
        [
            helper.make_tensor_value_info('step', TensorProto.INT64, []),
            helper.make_tensor_value_info('condition', TensorProto.BOOL, []),
            helper.make_tensor_value_info('value', TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info('condition_out', TensorProto.BOOL, []),
            helper.make_tensor_value_info('value_out', TensorProto.FLOAT, None),
        ],
    )
    count = '' if rng.integers(2) else _constant(model, 'count', 2**62)
    go_on = _constant(model, 'go_on', True, np.bool_)
    _insert(model, 'Loop', [count, go_on, 'mean'], body=body)


def _onnx_external(rng: np.random.Generator, model: Any) -> None:
    from onnx import TensorProto

    tensor = model.graph.initializer[1]
    tensor.ClearField('float_data')
    tensor.ClearField('raw_data')
    tensor.data_location = TensorProto.EXTERNAL
    where = str(rng.choice([traps.WAY, '/etc/passwd', '../../x', 'model.onnx', '', 'x' * 300]))
    for key, value in (('location', where), ('offset', '0'), ('length', '4')):
        tensor.external_data.add(key=key, value=value)


def _onnx_strange_output(rng: np.random.Generator, model: Any) -> None:
    """NaN, integers, another rank, nothing at all."""
    choice = rng.integers(5)
    if choice == 0:
        _insert(model, 'Mul', ['mean', _constant(model, 'bad', np.nan, np.float32)])
    elif choice == 1:
        model.graph.output[0].type.tensor_type.elem_type = 7
        model.graph.node[1].op_type, model.graph.node[1].input[:] = 'Cast', ['mean']
        model.graph.node[1].attribute.add(name='to', type=2, i=7)
    elif choice == 2:
        _insert(model, 'Reshape', ['mean', _constant(model, 'shape', [-1])])
    elif choice == 3:
        ends = [_constant(model, name, [0]) for name in ('start', 'end', 'axis')]
        _insert(model, 'Slice', ['mean', *ends])
    else:
        model.graph.output.pop()


def _onnx_foreign(rng: np.random.Generator, model: Any) -> None:
    """Operations of nobody, of other domains, functions that call themselves."""
    from onnx import helper

    choice = rng.integers(3)
    name = str(rng.choice(['Nothing', 'x' * 5000, 'a\nb', '\x1b[31m', '']))
    if choice == 0:
        _insert(model, name, ['mean'])
    else:
        domain = str(rng.choice(['com.microsoft', 'ai.onnx.ml', 'x' * 1000]))
        model.opset_import.append(helper.make_opsetid(domain, 1))
        _insert(model, 'Gelu' if domain == 'com.microsoft' else 'Again', ['mean'], domain=domain)
        if choice == 2:
            node = helper.make_node('Again', ['a'], ['b'], domain=domain)
            model.functions.append(
                helper.make_function(
                    domain, 'Again', ['a'], ['b'], [node], [helper.make_opsetid(domain, 1)]
                )
            )


def _onnx_metadata(rng: np.random.Generator, model: Any) -> None:
    content = {'signature': signature()}
    text = nested(rng, '{"signature":', '}')
    if rng.integers(3):
        text = json.dumps(mutate_json(rng, content))
    model.metadata_props[0].value = text.encode('utf-8', 'replace').decode()


def _onnx_shapes(rng: np.random.Generator, model: Any) -> None:
    end = (model.graph.input if rng.integers(2) else model.graph.output)[0]
    dims = end.type.tensor_type.shape.dim
    dims[rng.integers(4)].dim_value = int(rng.choice([0, -1, 2**31, 2**62, 7]))
    if rng.integers(4) == 0:
        del dims[0]


def _onnx_long(rng: np.random.Generator, model: Any) -> None:
    """Very many nodes, or names of very many characters."""
    from onnx import helper

    if rng.integers(2):
        last, name = model.graph.node.pop(), 'mean'
        for i in range(int(rng.choice([100, 20_000]))):
            model.graph.node.append(helper.make_node('Identity', [name], [f'n{i}']))
            name = f'n{i}'
        last.input[0] = name
        model.graph.node.append(last)
    else:
        name = 'x' * int(rng.choice([300, 1_000_000]))
        model.graph.node[0].output[0] = name
        model.graph.node[1].input[0] = name if rng.integers(2) else name[1:]


_ONNX_CHANGES = (
    _onnx_huge_initializer, _onnx_huge_value, _onnx_huge_value, _onnx_loop, _onnx_external,
    _onnx_strange_output, _onnx_foreign, _onnx_metadata, _onnx_shapes, _onnx_long,
)  # fmt: skip


def use_onnx(folder: Path) -> None:
    use_artefact(folder / 'model.onnx')


def use_onnx_weights(folder: Path) -> None:
    import_weights(folder / 'model.onnx')
