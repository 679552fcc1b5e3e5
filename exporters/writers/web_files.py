"""A folder of static files: the page of `mattingjax serve`, computed in the browser alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

from exporters.artefacts import Artefact
from exporters.onnx_graph import conversion
from exporters.web.runtime import VERSION
from exporters.writers.job import Job
from mattingjax.inference.serving import PAGE
from mattingjax.inference.sessions import METADATA_KEY
from mattingjax.inference.signature import Signature
from mattingjax.process.reading import hash_file

FOLDER = 'web'
MODEL_FILE, DESCRIPTION_FILE = 'model.onnx', 'model.json'
_RUNTIME_FOLDER = 'onnxruntime'
_LIST_FILE, _WORKER_FILE = 'files.js', 'offline.js'  # of the service worker
_TEMPLATES = Path(__file__).parents[1] / 'web' / 'templates'


def write_web(job: Job, model: Any, runtime: dict[str, bytes]) -> tuple[Artefact, dict[str, Any]]:
    """Writes web/: the page, the network at any size in float32, and ONNX Runtime Web.

    Args:
      job: The export.
      model: An `onnx.ModelProto` as `conversion.create_onnx` returns it.
      runtime: The files of ONNX Runtime Web, as `runtime.load_runtime` returns them.

    Returns:
      The artefact web/model.onnx, and what the manifest says of the other files, JSON types.
    """
    signature = dataclasses.replace(job.signature, shape=(0, 0, 0, 3))
    metadata = {METADATA_KEY: job.metadata('fp32', signature)}
    content = conversion.finish_onnx(conversion.free_size(model), metadata)
    folder = job.folder / FOLDER
    shipped = job.network['provenance'].get('shipped', {})
    files = write_page(folder, content, signature, job.name, shipped.get('use', ''), runtime)
    artefact = Artefact(
        folder / MODEL_FILE,
        'ONNX, any size, for ONNX Runtime Web',
        'fp32',
        signature,
        ('onnxruntime',),
        {'opset': conversion.OPSET},
        subfolder=FOLDER,
    )
    return artefact, {'onnxruntime_web': VERSION, 'files': files}


def write_page(
    folder: Path,
    model: bytes,
    signature: Signature,
    name: str,
    use: str,
    runtime: dict[str, bytes],
) -> dict[str, dict[str, Any]]:
    """Writes a folder that any static host can serve.

    Args:
      folder: The folder to make.
      model: The ONNX model, of any size.
      signature: How it is fed.
      name: What the page calls it.
      use: What it is for, in words; what follows a semicolon is not told. Empty if nobody knows.
      runtime: The files of ONNX Runtime Web.

    Returns:
      Path of each file in the folder → its bytes and SHA-256.
    """
    size = f'{len(model) / 1e6:.1f} MB'
    description = {
        'name': name,
        'title': name,
        'note': f'{use.split(";")[0]}; {size}' if use else size,
        'signature': signature.to_dict(),
        'sha256': hashlib.sha256(model).hexdigest(),
    }
    contents = {
        **_read_folder(PAGE),
        **_read_folder(_TEMPLATES),  # with the browser's engine.js in the place of the server's
        **{f'{_RUNTIME_FOLDER}/{name}': content for name, content in runtime.items()},
        MODEL_FILE: model,
        DESCRIPTION_FILE: json.dumps(description, indent=1).encode() + b'\n',
    }
    contents[_LIST_FILE] = _list_for_offline(contents)
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return {
        name: {'bytes': len(content), 'sha256': hash_file(folder / name)}
        for name, content in contents.items()
    }


def _read_folder(folder: Path) -> dict[str, bytes]:
    """Path within the folder → content of all its files."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob('*'))
        if path.is_file()
    }


def _list_for_offline(contents: dict[str, bytes]) -> bytes:
    """What the service worker keeps: a script, which changes whenever one of the files does."""
    names = sorted(set(contents) - {_WORKER_FILE})
    digest = hashlib.sha256()
    for name in names:
        digest.update(f'{name} {hashlib.sha256(contents[name]).hexdigest()}\n'.encode())
    kept = {'version': digest.hexdigest(), 'files': ['./', *names]}
    return f'const EXPORT = {json.dumps(kept, indent=1)};\n'.encode()
