"""The frozen TensorFlow graph, and Ascend's kit beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exporters.artefacts import Artefact
from exporters.ascend import kit
from exporters.ascend.op_check import check_ops
from exporters.tensorflow_graph.freezing import count_ops
from mattingjax.errors import MattingError
from mattingjax.inference.signature import Signature
from mattingjax.process.reading import hash_file


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
