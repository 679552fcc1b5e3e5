"""Damaged and hostile frozen TensorFlow graphs."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from tests.fuzz import traps
from tests.fuzz.artefacts import SHAPE, damage_manifest, use_artefact, write_manifest
from tests.fuzz.mutations import mutate_bytes


def _graph() -> Any:
    from mattingjax.process.packages import import_tensorflow

    tf = import_tensorflow()
    with tf.Graph().as_default() as graph:
        image = tf.compat.v1.placeholder(tf.float32, SHAPE, 'input')
        mean = tf.reduce_mean(image, axis=3, keepdims=True, name='mean')
        tf.divide(mean, tf.constant(255.0, name='top'), name='output')
    return graph.as_graph_def()


def write_graph(folder: Path) -> None:
    """The graph's bytes, made in another process, so that TensorFlow is not started in this one."""
    from tests.forked import run_forked

    result = run_forked(_serialised_graph, timeout=120).result
    (folder / 'model.pb').write_bytes(result)
    write_manifest(folder, 'model.pb')


def _serialised_graph() -> bytes:
    return _graph().SerializeToString()


def make_graph(rng: np.random.Generator, folder: Path, samples: Path) -> None:
    shutil.copytree(samples, folder, dirs_exist_ok=True)
    damage_manifest(rng, folder, 'model.pb')
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


# Of files that graphs read or write; in the case's folder, which is current, and beside the input.
_NAMES = [b'written_by_the_graph', f'{traps.FOLDER}/{traps.TEXT}'.encode()]


def _graph_files(rng: np.random.Generator, graph: Any) -> None:
    """Operations that read or write files, or print, and that the output waits for."""
    op = str(rng.choice(['WriteFile', 'ReadFile', 'MatchingFiles', 'PrintV2', 'SaveV2']))
    _add_constant(graph, 'name', 7, string_val=rng.choice(_NAMES))
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
