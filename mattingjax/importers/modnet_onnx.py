"""Reads MODNet's tensors from an ONNX export, under the names of the PyTorch checkpoint.

PyTorch's exporter folds the backbone's BatchNorm into its convolutions and renames their weights;
the branches keep their names. Folded convolutions are identified by their order in the graph. They
get an identity BatchNorm that holds their bias, so that the network can be trained and pruned.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.errors import WeightsError, missing_package
from mattingjax.importers.matching import check_tensor_name
from mattingjax.importers.modnet_names import canonical_names
from mattingjax.inference.screening.protobuf import ONNX_DATA, check_structure
from mattingjax.networks.mobilenet_v2 import EPSILON, STRIDES

_MAX_BYTES = 2**26  # length of a file; MODNet's has 26 MB


def is_onnx_file(path: Path) -> bool:
    """Tells whether a file begins with the IR version of an ONNX model, or is named .onnx."""
    with path.open('rb') as file:
        head = file.read(2)
    return path.suffix.lower() == '.onnx' or (head[:1] == b'\x08' and 1 <= head[-1] <= 32)


def read_modnet_onnx(path: Path | str) -> dict[str, np.ndarray]:
    """Reads an exported MODNet.

    Args:
      path: An ONNX file, such as the published one or an export of the pruner.

    Returns:
      Published name → tensor in PyTorch's layout.

    Raises:
      WeightsError: The file is damaged, is no MODNet, or has a weight that no layer uses.
      ImportError: The package onnx is not installed; the message says how to get it.
    """
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise missing_package(f'{path}: reading ONNX', 'onnx', 'importers') from error
    path = Path(path)
    try:
        content = path.read_bytes() if path.stat().st_size <= _MAX_BYTES else b''
        if not content:
            raise WeightsError(f'expected an ONNX file of 1 to {_MAX_BYTES} bytes')
        check_structure(content, ONNX_DATA)
        graph = onnx.load_model_from_string(content).graph
        for tensor in graph.initializer:
            check_tensor_name(tensor.name)
    except OSError as error:
        raise WeightsError(f'{path}: cannot be read: {error.strerror or error}') from error
    except Exception as error:  # protobuf raises errors of its own
        raise WeightsError(f'{path}: damaged ONNX file ({error})') from error
    weights: dict[str, np.ndarray] = {}
    for tensor in graph.initializer:
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            raise WeightsError(f'{path}: {tensor.name}: its data is in another file, not read')
        if tensor.name in weights:
            raise WeightsError(f'{path}: {tensor.name}: stands twice')
        try:
            array = onnx.numpy_helper.to_array(tensor)
        except Exception as error:
            problem = f'{type(error).__name__}: {error}'
            raise WeightsError(f'{path}: {tensor.name}: damaged tensor ({problem})') from error
        if array.shape != tuple(tensor.dims):
            raise WeightsError(f'{path}: {tensor.name}: impossible shape {tuple(tensor.dims)}')
        weights[tensor.name] = array
    return _name_tensors(graph, weights, path)


def _name_tensors(graph: Any, weights: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    # A constant that no layer reads (a size of Resize, a bound of Clip) is no variable.
    constants = {name for node in graph.node for name in node.input} - {
        name
        for node in graph.node
        if node.op_type in ('Conv', 'BatchNormalization', 'MatMul', 'Gemm')
        for name in node.input
    }
    tensors: dict[str, np.ndarray] = {}

    def add(name: str, tensor: np.ndarray) -> None:
        if name in tensors:
            raise WeightsError(f'{path}: {name}: stands twice under two spellings')
        tensors[name] = tensor

    for name, published in canonical_names(name for name in weights if '.' in name).items():
        add(published, weights[name])
    unnamed = {name for name in weights if '.' not in name} - constants
    folded, gates = [], []
    for node in graph.node:
        names = [name for name in node.input if name in unnamed]
        if node.op_type == 'Conv' and names:
            folded.append([weights[name] for name in names])
        elif node.op_type == 'MatMul' and names:
            gates.append(weights[names[0]].T)
        else:
            continue
        unnamed -= set(names)
    if unnamed:
        raise WeightsError(f'{path}: {min(unnamed)}: a weight that no layer of MODNet uses')
    if folded:
        for name, tensor in _name_folded(folded, path).items():
            add(name, tensor)
    if len(gates) not in (0, 2):
        raise WeightsError(
            f'{path}: expected the 2 matrices of squeeze-and-excitation, found {len(gates)}'
        )
    for position, gate in zip((0, 2), gates, strict=False):
        add(f'lr_branch.se_block.fc.{position}.weight', gate)
    return tensors


def _name_folded(folded: list[list[np.ndarray]], path: Path) -> dict[str, np.ndarray]:
    modules = ['features.0.0']
    remaining = iter(folded[1:])
    for i in range(1, len(STRIDES) + 1):
        # The first convolution of a block is its expansion (1×1), or without one the 3×3.
        first = next(remaining, None)
        expands = first is not None and first[0].shape[2:] == (1, 1)
        for _ in range(1 + expands):
            next(remaining, None)
        modules += [f'features.{i}.conv.{3 * unit}' for unit in range(2 + expands)]
    modules.append('features.18.0')
    if len(modules) != len(folded) or any(len(pair) != 2 for pair in folded):
        raise WeightsError(
            f'{path}: expected {len(modules)} convolutions with folded BatchNorm in the backbone, '
            f'found {len(folded)}'
        )
    tensors: dict[str, np.ndarray] = {}
    for module, (weight, bias) in zip(modules, folded, strict=True):
        stem, position = module.rsplit('.', 1)
        norm = f'backbone.model.{stem}.{int(position) + 1}'
        tensors |= {
            f'backbone.model.{module}.weight': weight,
            # With scale 1, mean 0 and variance 1 − epsilon, BatchNorm only adds the bias.
            f'{norm}.weight': np.ones_like(bias),
            f'{norm}.bias': bias,
            f'{norm}.running_mean': np.zeros_like(bias),
            f'{norm}.running_var': np.full_like(bias, 1 - EPSILON),
        }
    return tensors
