"""The manifest of an export: the network, the artefacts, the tools that made them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from exporters.precision.calibration import Loss
from mattingjax.checkpoints import Checkpoint, hash_checkpoint
from mattingjax.config.schema import read_json
from mattingjax.errors import OutputError
from mattingjax.inference.signature import MANIFEST_FILE
from mattingjax.process.machine import installed_versions

FORMAT = 1
_TOOLS = (
    'mattingjax', 'jax', 'jaxlib', 'flax', 'numpy', 'tensorflow', 'tf2onnx', 'onnx', 'onnxruntime',
    'openvino', 'nncf', 'ai-edge-litert',
)  # fmt: skip


def describe_network(checkpoint: Checkpoint) -> dict[str, Any]:
    """The network and the hash of its variables, JSON types."""
    return {**checkpoint.config.to_dict(), 'sha256': hash_checkpoint(checkpoint)}


def create_manifest(
    checkpoint: Checkpoint, artefacts: dict[str, Any], notes: dict[str, Any]
) -> dict[str, Any]:
    """The content of manifest.json.

    Args:
      checkpoint: The network that was exported.
      artefacts: Name of each file → its entry.
      notes: Further entries, JSON types.
    """
    return {
        'format': FORMAT,
        'artefacts': artefacts,
        **notes,
        'versions': installed_versions(_TOOLS),
        'network': describe_network(checkpoint),  # last, as its provenance is long
    }


def list_files(manifest: Any) -> set[str]:
    """Paths of the files that an export wrote; none if the manifest is another program's."""
    if not isinstance(manifest, dict) or not isinstance(manifest.get('artefacts'), dict):
        return set()
    files = {MANIFEST_FILE, 'verification.png', *manifest['artefacts']}
    for entry in manifest['artefacts'].values():
        files.add(entry.get('weights', MANIFEST_FILE))
    if isinstance(web := manifest.get('web'), dict):
        files.update(f'web/{name}' for name in web.get('files', ()))
    ascend = manifest.get('ascend', {})
    om = ascend.get('om')
    return files | set(ascend.get('files', [])) | ({om['file']} if isinstance(om, dict) else set())


def spare_other_files(output: Path) -> None:
    """Raises OutputError if the folder holds a file that no export wrote and that would be lost."""
    if not (output / MANIFEST_FILE).is_file():
        return
    files = {output / name for name in list_files(read_json(output / MANIFEST_FILE))}
    written = files.union(*(path.parents for path in files))
    for path in sorted(output.rglob('*')):
        if path not in written:
            raise OutputError(f'{path}: no file of an export; move it, or export to another folder')


def format_manifest(manifest: dict[str, Any]) -> str:
    """A manifest as a table for people: file, size, largest difference to the JAX network."""
    notes = []
    lines = [f'{"":24}{"size":>10}{"difference to JAX":>20}']
    for name, entry in manifest['artefacts'].items():
        size = entry['bytes'] + entry.get('weights_bytes', 0)
        parity = entry['parity']
        if isinstance(parity, dict):
            measured = [case for cases in parity.values() for case in cases.values()]
            parity = f'{max(case["max"] for case in measured):.1e} at most'
            if losses := entry.get('loss'):
                found = [Loss(**loss) for loss in losses.values()]
                worst = max(found, key=lambda loss: loss.excess)
                parity = f'{worst.difference:.1e} in mean'
                kept = '; some of it stays in floating point' if entry['accuracy_control'] else ''
                notes.append(f'{name}: {worst}{kept}')
            if loose := [case for case in measured if 'from_float64' in case]:
                theirs, ours = (
                    max(case[key] for case in loose) for key in ('jax_from_float64', 'from_float64')
                )
                notes.append(
                    f'{name}: float32 does not determine this network to 1e-4 '
                    f'(JAX is {theirs:.1e} from float64, this {ours:.1e})'
                )
        lines.append(f'{name:24}{size / 1e6:7.2f} MB{parity:>20}')
        lines += [f'  outside ATC: {problem}' for problem in entry.get('outside_atc_op_list', ())]
    if web := manifest.get('web'):
        total = sum(file['bytes'] for file in web['files'].values())
        notes.append(f'web: {len(web["files"])} files, {total / 1e6:.2f} MB, for any static host')
    return '\n'.join(lines + notes)
