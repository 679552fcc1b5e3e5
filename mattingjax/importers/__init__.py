"""Imports weights of the original networks; the format is recognised from the file."""

from __future__ import annotations

import dataclasses
import functools
import glob
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from mattingjax.checkpoints import Checkpoint
from mattingjax.errors import WeightsError
from mattingjax.importers import hub, mmnet_tf, modnet_names, modnet_onnx, torch_file
from mattingjax.importers.matching import Candidate, assemble
from mattingjax.networks import (
    MMNetConfig,
    ModelConfig,
    MODNetConfig,
    Variables,
    create_model_config,
)
from mattingjax.process.reading import explain_absence, hash_file

__all__ = ['import_weights']

_DUPLICATE_BACKBONE = 'lr_branch.backbone.'
_COUNTER = '.num_batches_tracked'


def import_weights(
    source: Path | str, *, prune_info: Path | str | None = None, sha256: str | None = None
) -> Checkpoint:
    """Imports weights of another format: PyTorch MODNet, TensorFlow 1 MMNet or MODNet ONNX.

    Nothing in the file is executed. Every variable is either used or listed in the provenance of
    the checkpoint: `ignored` are variables of training, such as counters, and `initialised` are
    those of heads that an inference export lacks.

    Args:
      source: A PyTorch `.ckpt` (with the names of the original or of its pruner), any part of a
        TensorFlow checkpoint (`.index`, `.data-…` or their prefix), or an `.onnx` file; or the
        address `hf://OWNER/REPO/FILE` of such a file on the Hugging Face Hub.
      prune_info: The JSON file that the pruner wrote for a pruned MODNet. Without it the widths are
        read from the tensors' shapes.
      sha256: The SHA-256 that a file from the Hub must have, in hexadecimal; None for the known one
        of a known file.

    Returns:
      The checkpoint, in memory.

    Raises:
      WeightsError: The file is missing, damaged, unsafe or of another network, or a variable is
        missing, unknown or misshapen; the message names it with expected and found shapes.
      ImportError: The package that reads the format is not installed.
    """
    address = str(source)
    if address.startswith(hub.SCHEME):
        source = hub.fetch_from_hub(address, sha256)
    elif sha256 is not None:
        raise WeightsError(f'{source}: a SHA-256 is asked for of files on the Hub alone (hf://...)')
    source = Path(source)
    prefix = mmnet_tf.find_prefix(source)
    if prefix is not None:
        if prune_info is not None:
            raise WeightsError(f'{prune_info}: a prune_info belongs to MODNet, {source} is MMNet')
        return _import_mmnet(prefix)
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


def _import_mmnet(prefix: Path) -> Checkpoint:
    tensors, ignored = mmnet_tf.read_tensorflow_tensors(prefix)
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
    files = sorted(prefix.parent.glob(glob.escape(prefix.name) + '.[di]*'))
    return _checkpoint(config, variables, 'tensorflow', files, ignored, absent)


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
