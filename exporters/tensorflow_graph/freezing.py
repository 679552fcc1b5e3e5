"""A network as a frozen TensorFlow graph: one input, one output, constants, plain ops."""

from __future__ import annotations

from collections import Counter
from typing import Any

from exporters.tensorflow_graph import operations
from mattingjax.errors import MattingError, missing_package
from mattingjax.inference.screening.frozen_graph import ALLOWED_OPS
from mattingjax.networks import ModelConfig, Variables, apply_model, create_model
from mattingjax.networks.replacement import replace_operations
from mattingjax.process.packages import import_tensorflow

# Nodes that tracing leaves behind and inference does not need: each passes its first input on.
_PASS_THROUGH = ('EnsureShape', 'Identity', 'IdentityN', 'PreventGradient', 'StopGradient')
LAST_JAX = (0, 7, 1)
_PACKAGES = ('tensorflow', 'tf2onnx', 'onnx', 'onnxruntime', 'openvino', 'nncf', 'ai_edge_litert')


class ToolsError(MattingError):
    """The installed packages cannot export."""


def check_tools() -> None:
    """Raises ToolsError unless the installed packages can export; quick, as it imports none."""
    import importlib.util

    import jax

    if jax.__version_info__ > LAST_JAX:
        wanted = '.'.join(map(str, LAST_JAX))
        raise ToolsError(
            f'export: expected JAX {wanted} or earlier, found {jax.__version__}: later ones write '
            'the whole network as one XlaCallModule op, which neither ATC nor tf2onnx nor OpenVINO '
            "reads; pip install 'mattingjax[export]' installs the right ones"
        )
    for package in _PACKAGES:
        if importlib.util.find_spec(package) is None:
            raise ToolsError(str(missing_package('export', package, 'export')))


def create_frozen_graph(
    config: ModelConfig,
    variables: Variables,
    input_shape: tuple[int, int, int, int],
    input_name: str = 'input',
    output_name: str = 'output',
) -> Any:
    """Traces a network through jax2tf and cleans the graph.

    Args:
      config: The network.
      variables: Folded by `folding.fold_batch_norm`, NumPy arrays.
      input_shape: [N, H, W, 3] in pixels.
      input_name: Name of the placeholder.
      output_name: Name of the last node: alpha [N, H, W, 1] in [0, 1].

    Returns:
      A `tf.compat.v1.GraphDef` without functions, control flow or training ops.

    Raises:
      MattingError: It has an op that `mattingjax.inference.screening` would refuse to load.
    """
    tf = import_tensorflow()
    from jax.experimental import jax2tf

    function = jax2tf.convert(
        lambda images: apply_model(config, variables, images)['alpha'],
        native_serialization=False,
        enable_xla=False,
        with_gradient=False,
    )
    multiple = config.preprocessing.multiple_of
    with replace_operations(operations.create_replacements(input_shape[1], multiple)):
        signature = tf.TensorSpec(input_shape, tf.float32, name=input_name)
        traced = tf.function(function, autograph=False).get_concrete_function(signature)
    raw = traced.graph.as_graph_def()
    last = traced.outputs[0].name.removesuffix(':0')
    graph = _fold_constants(_strip(raw, last, output_name), output_name)
    graph.versions.CopyFrom(raw.versions)
    graph = _name_nodes(graph, {input_name, output_name}, config)
    if strange := sorted(set(count_ops(graph)) - ALLOWED_OPS):
        raise MattingError(f'export: no reader takes a graph with {", ".join(strange)}')
    return graph


def _strip(graph: Any, last: str, output_name: str) -> Any:
    """Removes the pass-through nodes and ends the graph with a node `output_name`."""
    import tensorflow as tf

    targets = {node.name: node.input[0] for node in graph.node if node.op in _PASS_THROUGH}

    def resolve(name: str) -> str:
        while name.split(':')[0] in targets:
            name = targets[name.split(':')[0]]
        return name

    stripped = tf.compat.v1.GraphDef()
    for node in graph.node:
        if node.name in targets:
            continue
        copy = stripped.node.add()
        copy.CopyFrom(node)
        # A control input would only order what has no side effects.
        copy.input[:] = [resolve(name) for name in node.input if not name.startswith('^')]
    end = stripped.node.add(name=output_name, op='Identity', input=[resolve(last)])
    end.attr['T'].type = tf.float32.as_datatype_enum
    return stripped


def _fold_constants(graph: Any, output_name: str) -> Any:
    """Runs Grappler's constant folding, and drops nodes that lead nowhere."""
    from tensorflow.core.protobuf import config_pb2, meta_graph_pb2
    from tensorflow.python.grappler import tf_optimizer

    meta = meta_graph_pb2.MetaGraphDef()
    meta.graph_def.CopyFrom(graph)
    meta.collection_def['train_op'].node_list.value.append(output_name)
    options = config_pb2.ConfigProto()
    rewriting = options.graph_options.rewrite_options
    rewriting.optimizers.extend(['constfold', 'pruning'])
    rewriting.min_graph_nodes = -1
    return tf_optimizer.OptimizeGraph(options, meta)


def _name_nodes(graph: Any, kept: set[str], config: ModelConfig) -> Any:
    """Names nodes by their place in the network, without the tracer's own prefixes."""
    prefix = type(create_model(config)).__name__  # Flax's outermost scope
    names: dict[str, str] = {}
    for node in graph.node:
        _, found, path = node.name.partition(f'/{prefix}/')
        wanted = node.name if node.name in kept else f'{prefix}/{path}' if found else node.name
        if not found and node.name not in kept:
            wanted = wanted.rsplit('jax2tf', 1)[-1].lstrip('_/')
        unique, count = wanted, 1
        while unique in names.values():
            unique, count = f'{wanted}_{count}', count + 1
        names[node.name] = unique
    for node in graph.node:
        node.name = names[node.name]
        node.input[:] = [
            ':'.join([names[name.split(':')[0]], *name.split(':')[1:]]) for name in node.input
        ]
        for attribute in [name for name in node.attr if name.startswith('_')]:
            del node.attr[attribute]  # the tracer's notes
    return graph


def count_ops(graph: Any) -> Counter[str]:
    """How often each op occurs; constants are not counted."""
    return Counter(node.op for node in graph.node if node.op != 'Const')
