"""Exported networks: ONNX, OpenVINO IR and frozen graphs that are damaged, or ask for too much."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax import create_predictor
from mattingjax.importers import import_weights
from mattingjax.inference.sessions import METADATA_KEY
from mattingjax.inference.signature import MANIFEST_FILE, Signature
from mattingjax.networks import create_model_config
from tests.fuzz.mutations import mutate_bytes, mutate_json, nested
from tests.fuzz.pictures import check_alpha

_SIDE = 32
_SHAPE = (1, _SIDE, _SIDE, 3)


def _signature(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        'input_name': 'input',
        'output_name': 'output',
        'shape': _SHAPE,
        'dtype': 'float32',
        'scaling_inside': True,
        'colour_order': 'RGB',
        'resize_inside': False,
        'input_size': _SIDE,
        'preprocessing': create_model_config('mmnet').preprocessing,
    }
    return json.loads(json.dumps(Signature(**{**values, **changes}).to_dict()))


def _write_manifest(folder: Path, name: str, content: Any = None) -> None:
    content = content or {'artefacts': {name: {'signature': _signature()}}}
    (folder / MANIFEST_FILE).write_text(json.dumps(content))


def _damage_manifest(rng: np.random.Generator, folder: Path, name: str) -> None:
    """The manifest is another, one time in three; nested too deeply, one in three of these."""
    choice = rng.integers(9)
    if choice < 2:
        content = {'artefacts': {name: {'signature': _signature()}}}
        _write_manifest(folder, name, mutate_json(rng, content))
    elif choice == 2:
        (folder / MANIFEST_FILE).write_text(nested(rng, '{"artefacts":', '}'))


def use_artefact(path: Path, runtime: str | None = None) -> None:
    predictor = create_predictor(path, runtime)
    image = np.random.default_rng(0).integers(0, 256, (40, 48, 3), dtype=np.uint8)
    check_alpha(predictor(image), image.shape[:2])


# ONNX


def _brightness() -> Any:
    """A network whose alpha is the brightness of the photo, its signature in itself."""
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [
            helper.make_node('ReduceMean', ['input', 'axes'], ['mean'], keepdims=1),
            helper.make_node('Div', ['mean', 'top'], ['output']),
        ],
        'brightness',
        [helper.make_tensor_value_info('input', TensorProto.FLOAT, _SHAPE)],
        [helper.make_tensor_value_info('output', TensorProto.FLOAT, [1, _SIDE, _SIDE, 1])],
        [
            helper.make_tensor('axes', TensorProto.INT64, [1], [3]),
            helper.make_tensor('top', TensorProto.FLOAT, [], [255]),
        ],
    )
    opsets = [helper.make_opsetid('', 18)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: json.dumps({'signature': _signature()})})
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
        _insert(model, 'Expand', ['mean', _constant(model, 'shape', [size, _SIDE, _SIDE, 1])])
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
    where = str(rng.choice(['/etc/passwd', '../../x', 'model.onnx', '', 'x' * 300]))
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
    content = {'signature': _signature()}
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


# OpenVINO


def write_openvino(folder: Path) -> None:
    from mattingjax.process.packages import import_openvino

    ov = import_openvino()
    import openvino.opset8 as ops

    image = ops.parameter(_SHAPE, np.float32, name='input')
    mean = ops.reduce_mean(image, ops.constant(np.array([3], np.int64)), True)
    alpha = ops.divide(mean, ops.constant(np.float32(255)), name='output')
    alpha.output(0).get_tensor().set_names({'output'})
    model = ov.Model([alpha], [image], 'brightness')
    ov.save_model(model, folder / 'model.xml', compress_to_fp16=False)
    _write_manifest(folder, 'model.xml')


def make_openvino(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    shutil.copytree(samples, folder, dirs_exist_ok=True)
    _damage_manifest(rng, folder, 'model.xml')
    path = folder / 'model.xml'
    text = path.read_text()
    choice = rng.integers(6)
    if choice == 0:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
    elif choice == 1:
        weights = folder / 'model.bin'
        weights.write_bytes(mutate_bytes(rng, weights.read_bytes()))
    elif choice == 2:
        number = str(rng.choice(['3', '32', '0', '8', '1']))
        huge = str(
            rng.choice(['4294967295', '1099511627776', '-1', '18446744073709551615', 'x' * 999])
        )
        path.write_text(text.replace(f'"{number}"', f'"{huge}"', int(rng.integers(1, 4))))
    elif choice == 3:
        kinds = ('Divide', 'ReduceMean', 'Parameter', 'Const', 'Result', 'opset1', 'opset8')
        others = ('Loop', 'If', 'TensorIterator', 'Nothing', 'extension', 'x' * 2000, '&#27;[31m')
        path.write_text(text.replace(f'"{rng.choice(kinds)}"', f'"{rng.choice(others)}"'))
    elif choice == 4:
        entity = '<!DOCTYPE a [<!ENTITY b "c"><!ENTITY d SYSTEM "file:///etc/passwd">]>'
        path.write_text(text.replace('<net', f'{entity}<net', 1).replace('brightness', '&d;'))
    else:
        depth = int(rng.choice([100, 100_000]))
        path.write_text(text.replace('</net>', '<a>' * depth + '</a>' * depth + '</net>'))


def use_openvino(folder: Path) -> None:
    use_artefact(folder / 'model.xml')


# Frozen TensorFlow graphs


def _graph() -> Any:
    from mattingjax.process.packages import import_tensorflow

    tf = import_tensorflow()
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, _SHAPE, 'input')
        mean = tf.reduce_mean(image, axis=3, keepdims=True, name='mean')
        tf.divide(mean, tf.constant(255.0, name='top'), name='output')
    return graph.as_graph_def()


def write_graph(folder: Path) -> None:
    """The graph's bytes, made in another process, so that TensorFlow is not started in this one."""
    from tests.forked import run_forked

    result = run_forked(_serialised_graph, timeout=120).result
    (folder / 'model.pb').write_bytes(result)
    _write_manifest(folder, 'model.pb')


def _serialised_graph() -> bytes:
    return _graph().SerializeToString()


def make_graph(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    shutil.copytree(samples, folder, dirs_exist_ok=True)
    _damage_manifest(rng, folder, 'model.pb')
    path = folder / 'model.pb'
    if rng.integers(3) == 0:
        path.write_bytes(mutate_bytes(rng, path.read_bytes()))
        return
    from tensorflow.core.framework import graph_pb2

    graph = graph_pb2.GraphDef.FromString(path.read_bytes())
    _GRAPH_CHANGES[rng.integers(len(_GRAPH_CHANGES))](rng, graph)
    path.write_bytes(graph.SerializeToString())


def _add_constant(graph: Any, name: str, dtype: int, **value: Any) -> None:
    node = graph.node.add(name=name, op='Const')
    node.attr['dtype'].type = dtype
    node.attr['value'].tensor.dtype = dtype
    node.attr['value'].tensor.tensor_shape.SetInParent()
    for field, content in value.items():
        getattr(node.attr['value'].tensor, field).append(content)


def _last(graph: Any) -> Any:
    return next(node for node in graph.node if node.name == 'output')


def _graph_files(rng: np.random.Generator, graph: Any) -> None:
    """Operations that read or write files, or print, and that the output waits for."""
    op = str(rng.choice(['WriteFile', 'ReadFile', 'MatchingFiles', 'PrintV2', 'SaveV2']))
    _add_constant(graph, 'name', 7, string_val=b'written_by_the_graph')
    _add_constant(graph, 'content', 7, string_val=b'x')
    inputs = {'WriteFile': ['name', 'content'], 'SaveV2': ['name', 'name', 'name', 'top']}
    node = graph.node.add(name='act', op=op, input=inputs.get(op, ['name']))
    if op == 'SaveV2':
        node.attr['dtypes'].list.type.append(1)
    _last(graph).input.append('^act')


def _graph_foreign(rng: np.random.Generator, graph: Any) -> None:
    names = (
        'PyFunc',
        'Nothing',
        'x' * 5000,
        'While',
        'If',
        'Enter',
        'LoopCond',
        'Switch',
        'Assert',
    )
    _last(graph).op = str(rng.choice(names))


def _graph_huge(rng: np.random.Generator, graph: Any) -> None:
    """A constant of a few bytes that says it has gigabytes, or a Fill of them."""
    size = int(rng.choice([2**28, 2**31, 2**34, 2**40]))
    if rng.integers(2):
        top = next(node for node in graph.node if node.name == 'top')
        top.attr['value'].tensor.tensor_shape.dim.add(size=size)
        return
    _add_constant(graph, 'many', 9, int64_val=size)
    graph.node[-1].attr['value'].tensor.tensor_shape.dim.add(size=1)
    node = graph.node.add(name='fill', op='Fill', input=['many', 'top'])
    node.attr['T'].type = 1
    node.attr['index_type'].type = 9
    _last(graph).input.append('^fill')


def _graph_functions(rng: np.random.Generator, graph: Any) -> None:
    """A library with a function that calls itself or writes a file."""
    function = graph.library.function.add()
    function.signature.name = 'again'
    node = function.node_def.add(name='act', op='again' if rng.integers(2) else 'WriteFile')
    node.input.append('name')
    graph.node.add(name='call', op='again')
    _last(graph).input.append('^call')


def _graph_wiring(rng: np.random.Generator, graph: Any) -> None:
    """Cycles, inputs that are not there, names twice."""
    names = ['output', 'nothing', 'x' * 5000, '^output', 'mean:7', '', ':', '\x1b[31m']
    node = graph.node[int(rng.integers(len(graph.node)))]
    if rng.integers(2):
        node.input.append(str(rng.choice(names)))
    else:
        node.name = str(rng.choice(names[:3]))


_GRAPH_CHANGES = (
    _graph_files, _graph_files, _graph_foreign, _graph_huge, _graph_functions, _graph_wiring,
)  # fmt: skip


def use_graph(folder: Path) -> None:
    use_artefact(folder / 'model.pb')
