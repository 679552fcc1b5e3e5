"""The artefact that lies beside a checkpoint, so that it runs where there is no JAX."""

from __future__ import annotations

import json
from pathlib import Path

from exporters.options import ExportOptions
from exporters.pipeline import export_checkpoint
from mattingjax.checkpoints import Checkpoint, save_checkpoint
from mattingjax.process.reading import read_file
from mattingjax.process.scratch import scratch_folder
from mattingjax.weights import ARTEFACT_FILE, MANIFEST_FILE


def create_artefact(checkpoint: Checkpoint, photos: tuple[Path, ...] = ()) -> dict[str, bytes]:
    """Exports a checkpoint as the artefact that `mattingjax.weights.find_artefact` looks for.

    Args:
      checkpoint: The network and its variables.
      photos: Pictures on which the artefact is compared with the network; two of scikit-image's if
        empty.

    Returns:
      Name → content of the files to put beside `config.json`: the ONNX model of any size, and the
      manifest with its hash, that of the network, and the largest difference of the two.

    Raises:
      ToolsError: JAX is too new for graph export, or a package is missing.
      VerificationError: The artefact differs from the network.
    """
    with scratch_folder() as folder:
        source, exported = folder / 'checkpoint', folder / 'export'
        save_checkpoint(source, checkpoint)
        options = ExportOptions(formats=('onnx',), photos=photos)
        manifest = export_checkpoint(source, exported, options)
        content = read_file(exported / ARTEFACT_FILE)
    # config.json beside it has the provenance.
    manifest['network'].pop('provenance')
    manifest['artefacts'] = {ARTEFACT_FILE: manifest['artefacts'][ARTEFACT_FILE]}
    text = json.dumps(manifest, indent=1) + '\n'
    return {ARTEFACT_FILE: content, MANIFEST_FILE: text.encode()}
