"""The files of an export: each kind is written and described here, and says what reads it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from exporters import openvino_ir
from exporters.ascend import kit
from exporters.ascend.op_check import check_ops
from exporters.frozen_graph import count_ops
from exporters.onnx_graph import conversion
from mattingjax.errors import MattingError
from mattingjax.inference.sessions import METADATA_KEY
from mattingjax.inference.signature import Signature
from mattingjax.process.files import hash_file

# Largest absolute differences to the JAX network's alpha.
TOLERANCES = {'fp32': 1e-4, 'fp16': 5e-3}


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One network file of an export.

    Attributes:
      path: The file.
      kind: Its kind in words, for the manifest.
      precision: Precision of its weights, 'fp32' or 'fp16'.
      signature: How to feed it.
      runtimes: The runtimes in which it is verified.
      details: Further entries of the manifest, JSON types.
    """

    path: Path
    kind: str
    precision: str
    signature: Signature
    runtimes: tuple[str, ...]
    details: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def describe(self, parities: dict[str, dict[str, Any]] | None) -> dict[str, Any]:
        """Its entry in the manifest, JSON types.

        Args:
          parities: Runtime → case → `verify.Parity`; None if the export is not verified.
        """
        signature = self.signature
        batch, height, width = (size or 'any' for size in signature.shape[:3])
        network = (
            (batch, 'network', 'network') if signature.resize_inside else (batch, height, width)
        )
        return {
            'kind': self.kind,
            'precision': self.precision,
            'bytes': self.path.stat().st_size,
            'sha256': hash_file(self.path),
            'input': {
                'name': signature.input_name,
                'shape': [batch, height, width, 3],
                'layout': 'NHWC',
                'dtype': signature.dtype,
                'colour_order': signature.colour_order,
                'range': [0, 255] if signature.scaling_inside else 'normalised: see preprocessing',
            },
            'output': {
                'name': signature.output_name,
                'shape': [*network, 1],
                'layout': 'NHWC',
                'dtype': 'float32',
                'range': [0, 1],
            },
            'signature': signature.to_dict(),
            **self.details,
            'parity': 'not verified' if parities is None else _to_json(parities),
        }


def write_frozen_graph(
    folder: Path, graph: Any, signature: Signature
) -> tuple[Artefact, list[Path]]:
    """Writes model.pb, and the kit for ATC beside it.

    Args:
      folder: The folder of the export.
      graph: A `tf.compat.v1.GraphDef`.
      signature: How the graph is fed.

    Returns:
      The artefact, and the files of the kit.
    """
    path = folder / 'model.pb'
    path.write_bytes(graph.SerializeToString(deterministic=True))
    kit_files = kit.write_ascend_kit(folder, path.name, signature)
    ops = count_ops(graph)
    details = {
        'nodes': sum(ops.values()),
        'ops': dict(sorted(ops.items())),
        'outside_atc_op_list': check_ops(graph),
    }
    runtimes = ('tensorflow', 'openvino')
    kind = 'TensorFlow frozen graph'
    return Artefact(path, kind, 'fp32', signature, runtimes, details), kit_files


def convert_with_atc(
    folder: Path, kit_files: list[Path], soc_version: str | None
) -> dict[str, Any]:
    """Runs ATC if a chip is given and ATC is installed.

    Args:
      folder: The folder of the export.
      kit_files: The files of the kit in it.
      soc_version: The chip, such as 'Ascend310P3'; None does not run ATC.

    Returns:
      What the manifest says of the kit and the model, JSON types.

    Raises:
      MattingError: ATC failed.
    """
    notes: dict[str, Any] = {'files': [path.name for path in kit_files]}
    command = f'bash atc.sh {soc_version or "SOC_VERSION"}'
    if soc_version is None:
        return notes | {'om': f'not made: {command} makes it where ATC is installed'}
    if kit.find_atc() is None:
        return notes | {'om': f'not made: atc is not on PATH; {command} makes it where it is'}
    try:
        om = kit.run_atc(folder, soc_version)
    except MattingError as error:  # the folder is a temporary one
        raise MattingError(str(error).replace(f'{folder}/', '')) from error
    return notes | {'om': {'file': om.name, 'sha256': hash_file(om)}}


def write_onnx(folder: Path, model: Any, signature: Signature, network: dict) -> list[Artefact]:
    """Writes model.onnx, of one size, and model_dynamic.onnx, of any size.

    Args:
      folder: The folder of the export.
      model: An `onnx.ModelProto`.
      signature: How the model of one size is fed.
      network: What the metadata say of the network, JSON types.
    """
    free = dataclasses.replace(signature, shape=(0, 0, 0, 3))
    artefacts = []
    for name, kind, made, what in (
        ('model.onnx', 'ONNX', conversion.fix_size(model), signature),
        ('model_dynamic.onnx', 'ONNX, any size', conversion.free_size(model), free),
    ):
        path = folder / name
        metadata = {METADATA_KEY: _metadata(network, what)}
        path.write_bytes(conversion.finish_onnx(made, metadata))
        details = {'opset': conversion.OPSET}
        runtimes = ('onnxruntime', 'openvino')
        artefacts.append(Artefact(path, kind, 'fp32', what, runtimes, details))
    return artefacts


def write_openvino(
    folder: Path,
    model: Any,
    signature: Signature,
    network: dict[str, Any],
    precisions: tuple[str, ...],
    measure: Callable[[Any], float] | None,
) -> list[Artefact]:
    """Writes model.xml ('fp32') and model_fp16.xml ('fp16').

    Args:
      folder: The folder of the export.
      model: An `onnx.ModelProto`.
      signature: How both are fed.
      network: What the metadata say of the network, JSON types.
      precisions: 'fp32', 'fp16' or both.
      measure: Returns the largest difference of an `openvino.Model`'s alpha from the JAX network's;
        needed for 'fp16', which compresses as many weights as half of the tolerance allows.
    """
    whole = openvino_ir.convert_onnx(conversion.finish_onnx(conversion.fix_size(model), {}))
    artefacts = []
    for precision in precisions:
        ir, share, name = whole, 0.0, 'model.xml'
        if precision == 'fp16':
            assert measure is not None, 'ExportOptions demands verification for fp16'
            name = 'model_fp16.xml'
            limit = TOLERANCES['fp16'] / 2
            ir, share = openvino_ir.compress_within(whole, measure, limit)
        details = {'share_of_weights_in_fp16': round(share, 4)}
        artefacts.append(
            _write_ir(folder / name, ir, 'OpenVINO IR', precision, signature, network, details)
        )
    return artefacts


def write_openvino_uint8(
    folder: Path, model: Any, signature: Signature, network: dict[str, Any], colour_order: str
) -> Artefact:
    """Writes model_uint8.xml, FP32, which takes uint8 frames of any size.

    Args:
      folder: The folder of the export.
      model: An `onnx.ModelProto`.
      signature: How the ONNX model is fed.
      network: What the metadata say of the network, JSON types.
      colour_order: Order of the frames' colours, 'RGB' or 'BGR'.
    """
    content = conversion.finish_onnx(conversion.fix_size(model), {})
    ir = openvino_ir.embed_preprocessing(openvino_ir.convert_onnx(content), colour_order)
    batch = signature.shape[0]
    frames = dataclasses.replace(
        signature,
        shape=(batch, 0, 0, 3),
        dtype='uint8',
        resize_inside=True,
        colour_order=colour_order,
    )
    kind = 'OpenVINO IR, preprocessing embedded'
    return _write_ir(folder / 'model_uint8.xml', ir, kind, 'fp32', frames, network, {})


def _write_ir(
    path: Path,
    ir: Any,
    kind: str,
    precision: str,
    signature: Signature,
    network: dict[str, Any],
    details: dict[str, Any],
) -> Artefact:
    openvino_ir.write_openvino(ir, path, metadata=_metadata(network, signature))
    weights = path.with_suffix('.bin')
    details = details | {
        'weights': weights.name,
        'weights_bytes': weights.stat().st_size,
        'weights_sha256': hash_file(weights),
    }
    return Artefact(path, kind, precision, signature, ('openvino',), details)


def _to_json(parities: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {
        runtime: {
            case: {
                name: value
                for name, value in dataclasses.asdict(parity).items()
                if value is not None
            }
            for case, parity in cases.items()
        }
        for runtime, cases in parities.items()
    }


def _metadata(network: dict[str, Any], signature: Signature) -> str:
    return json.dumps({'network': network, 'signature': signature.to_dict()})
