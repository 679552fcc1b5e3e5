"""Imports weights of the original networks; the format is recognised from the file."""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mattingjax.checkpoints import Checkpoint, load_checkpoint
from mattingjax.errors import MattingError, WeightsError
from mattingjax.importers import (
    deeplab_tf,
    hub,
    mmnet_tf,
    modnet_names,
    modnet_onnx,
    tf_checkpoint,
    torch_file,
)
from mattingjax.importers.matching import Candidate, assemble
from mattingjax.importers.modnet_backbone import take_modnet_backbone
from mattingjax.networks import (
    MMNetConfig,
    ModelConfig,
    MODNetConfig,
    Variables,
    create_model_config,
    find_network,
)
from mattingjax.networks.deeplab import DeepLabConfig
from mattingjax.process.reading import explain_absence, hash_file
from mattingjax.weights import list_weights

__all__ = ['import_weights']

_DUPLICATE_BACKBONE = 'lr_branch.backbone.'
_COUNTER = '.num_batches_tracked'


def import_weights(
    source: Path | str,
    *,
    prune_info: Path | str | None = None,
    sha256: str | None = None,
    network: str | None = None,
) -> Checkpoint:
    """Imports weights of another format: PyTorch or ONNX MODNet, TensorFlow 1 MMNet or DeepLab.

    Nothing in the file is executed. Every variable is either used or listed in the provenance of
    the checkpoint: `ignored` are those that the network does without, such as counters or another
    head, and `initialised` those that the file lacks, such as the head of a backbone; by the names
    of the file, or by ours where a checkpoint of ours is taken apart.

    Args:
      source: A PyTorch `.ckpt` (with the names of the original or of its pruner), any part of a
        TensorFlow checkpoint (`.index`, `.data-…` or their prefix), or an `.onnx` file; or the
        address `hf://OWNER/REPO/FILE` of such a file on the Hugging Face Hub.
      prune_info: The JSON file that the pruner wrote for a pruned MODNet. Without it the widths are
        read from the tensors' shapes.
      sha256: The SHA-256 that a file from the Hub must have, in hexadecimal; None for the known one
        of a known file.
      network: The network that is expected; None takes the file's. 'deeplab' and 'deeplab_aspp'
        take the backbone of a MODNet, which may also be a checkpoint of ours or the name of weights
        that ship, or of TF-Slim's MobileNetV2 of ImageNet; their heads are then random.

    Returns:
      The checkpoint, in memory.

    Raises:
      WeightsError: The file is missing, damaged, unsafe or of another network, or a variable is
        missing, unknown or misshapen; the message names it with expected and found shapes.
      CheckpointError: A checkpoint of ours is damaged.
      ConfigError: There is no such network.
      ImportError: The package that reads the format is not installed.
    """
    if not str(source):
        raise WeightsError('source: expected a path, got nothing')
    if network is None:
        return _import_file(source, prune_info, sha256)
    takes_backbones = issubclass(find_network(network).architecture, DeepLabConfig)
    if _is_checkpoint(source):
        if (given := prune_info or sha256) is not None:
            raise WeightsError(f'{given}: belongs to a file of others, {source} is a checkpoint')
        checkpoint = load_checkpoint(source)
        if checkpoint.config.network == network:
            raise WeightsError(f'{source}: is a checkpoint of {network} already')
    else:
        head = network if takes_backbones else None
        checkpoint = _import_file(source, prune_info, sha256, head)
    found = checkpoint.config.network
    if found == network:
        return checkpoint
    if found == 'modnet' and takes_backbones:
        return take_modnet_backbone(checkpoint, network)
    raise WeightsError(f'{source}: expected {network}, found {found}')


def _is_checkpoint(source: Path | str) -> bool:
    return str(source) in list_weights() or os.path.isfile(os.path.join(source, 'config.json'))


def _import_file(
    source: Path | str,
    prune_info: Path | str | None,
    sha256: str | None,
    head: str | None = None,
) -> Checkpoint:
    address = str(source)
    if address.startswith(hub.SCHEME):
        source = hub.fetch_from_hub(address, sha256)
    elif sha256 is not None:
        raise WeightsError(f'{source}: a SHA-256 is asked for of files on the Hub alone (hf://...)')
    source = Path(source)
    prefix = tf_checkpoint.find_prefix(source)
    if prefix is not None:
        if prune_info is not None:
            raise WeightsError(
                f'{prune_info}: a prune_info belongs to MODNet, {source} is of TensorFlow'
            )
        tensors, ignored = tf_checkpoint.read_tensorflow_tensors(prefix)
        if any(name.startswith(deeplab_tf.BACKBONE) for name in tensors):
            return _import_deeplab(prefix, tensors, ignored, head or 'deeplab')
        if head is not None:
            expected = f'variables of {deeplab_tf.BACKBONE}, as those of {head} are called'
            raise WeightsError(f'{prefix}: expected {expected}, found none')
        return _import_mmnet(prefix, tensors, ignored)
    # Unlike the methods of Path, these functions accept names of any length.
    if os.path.isdir(source):
        raise WeightsError(f'{source}: expected a weights file, got a folder')
    if not os.path.isfile(source):
        raise WeightsError(f'{source}: {explain_absence(source)}')
    try:
        if torch_file.is_torch_file(source):
            return _import_torch_modnet(source, prune_info)
        if modnet_onnx.is_onnx_file(source):
            return _import_onnx_modnet(source, prune_info)
    except OSError as error:
        raise WeightsError(f'{source}: cannot be read: {error.strerror or error}') from error
    raise WeightsError(
        f'{source}: not a PyTorch checkpoint, a TensorFlow checkpoint or an ONNX file'
    )


def _import_torch_modnet(source: Path, prune_info: Path | str | None) -> Checkpoint:
    tensors: dict[str, np.ndarray] = {}
    ignored, duplicates = [], {}
    stored = torch_file.read_torch_tensors(source)
    names = modnet_names.canonical_names(stored)
    for name, tensor in stored.items():
        canonical = names[name]
        if canonical.endswith(_COUNTER):
            ignored.append(name)
        elif canonical.startswith(_DUPLICATE_BACKBONE):
            duplicates[canonical.removeprefix('lr_branch.')] = name, tensor
        elif canonical in tensors:
            raise WeightsError(f'{source}: {name}: stands twice under two spellings')
        else:
            tensors[canonical] = tensor
    for canonical, (name, tensor) in duplicates.items():
        if canonical not in tensors or not np.array_equal(tensor, tensors[canonical]):
            raise WeightsError(f'{source}: {name}: differs from {canonical}, of which it is a copy')
    return _assemble_modnet(source, 'pytorch', tensors, prune_info, ignored=ignored)


def _import_onnx_modnet(source: Path, prune_info: Path | str | None) -> Checkpoint:
    tensors = modnet_onnx.read_modnet_onnx(source)
    return _assemble_modnet(source, 'onnx', tensors, prune_info, heads_optional=True)


def _assemble_modnet(
    source: Path,
    file_format: str,
    tensors: dict[str, np.ndarray],
    prune_info: Path | str | None,
    *,
    ignored: Iterable[str] = (),
    heads_optional: bool = False,
) -> Checkpoint:
    if prune_info is not None:
        architectures = [modnet_names.read_prune_info(prune_info)]
    else:
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        read_off = modnet_names.modnet_config_from_shapes(shapes)
        architectures = [MODNetConfig(), *([read_off] if read_off else [])]
    candidates = [
        Candidate(
            create_model_config('modnet', architecture),
            functools.partial(modnet_names.find_torch_source, architecture),
        )
        for architecture in architectures
    ]
    config, variables, absent = assemble(
        candidates,
        tensors,
        where=str(source),
        optional=modnet_names.TRAINING_HEADS if heads_optional else (),
    )
    files = [source] if prune_info is None else [source, Path(prune_info)]
    return _checkpoint(config, variables, file_format, files, ignored, absent)


def _import_mmnet(prefix: Path, tensors: dict[str, np.ndarray], ignored: list[str]) -> Checkpoint:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    architectures = [MMNetConfig.from_multiplier(width) for width in (1.0, 0.75, 0.5, 1.4)]
    read_off = mmnet_tf.mmnet_config_from_shapes(shapes)
    if read_off is not None:
        architectures.append(read_off)
    candidates = [
        Candidate(create_model_config('mmnet', architecture), mmnet_tf.find_tensorflow_source)
        for architecture in architectures
    ]
    config, variables, absent = assemble(candidates, tensors, where=str(prefix))
    return _checkpoint(config, variables, 'tensorflow', _list_files(prefix), ignored, absent)


def _import_deeplab(
    prefix: Path, tensors: dict[str, np.ndarray], ignored: list[str], head: str
) -> Checkpoint:
    shapes = {name: tensor.shape for name, tensor in tensors.items()}
    unused, optional = deeplab_tf.split_variables(shapes)
    tensors = {name: tensor for name, tensor in tensors.items() if name not in unused}
    try:
        read_off = deeplab_tf.deeplab_config_from_shapes(shapes, head)
    except MattingError as error:  # a width that is none
        raise WeightsError(f'{prefix}: {error}') from error
    config, variables, absent = assemble(
        [Candidate(read_off, deeplab_tf.find_deeplab_source)],
        deeplab_tf.adapt_tensors(tensors),
        where=str(prefix),
        optional=optional,
    )
    return _checkpoint(
        config, variables, 'tensorflow', _list_files(prefix), [*ignored, *unused], absent
    )


def _list_files(prefix: Path) -> list[Path]:
    return sorted(prefix.parent.glob(glob.escape(prefix.name) + '.[di]*'))


def _checkpoint(
    config: ModelConfig,
    variables: Variables,
    file_format: str,
    files: list[Path],
    ignored: Iterable[str],
    initialised: Iterable[str],
) -> Checkpoint:
    provenance = {
        'imported': file_format,
        'sha256': {file.name: hash_file(file) for file in files},
        'ignored': sorted(ignored),
        'initialised': sorted(initialised),
    }
    config = dataclasses.replace(config, provenance=provenance)
    return Checkpoint(config, variables, str(files[0]))
