"""The weights that ship, by name, and where the files of weights lie; without JAX.

NAME/config.json          the network: widths, input size, preprocessing, provenance
NAME/variables/           its variables, which JAX loads
NAME/model_dynamic.onnx   the same network for ONNX Runtime and OpenVINO, of any size
NAME/manifest.json        hashes of that file and of the variables it was made of
NAME/README.md            their card
NAME/SHA256SUMS           hashes of the first two
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from mattingjax.config.schema import read_json
from mattingjax.errors import ArtefactError, CheckpointError, MattingError
from mattingjax.process.reading import explain_absence, hash_file

CONFIG_FILE, VARIABLES_FOLDER = 'config.json', 'variables'
ARTEFACT_FILE, MANIFEST_FILE = 'model_dynamic.onnx', 'manifest.json'
# Of the files beside a checkpoint: the artefact has its hash in the manifest, and both may be made
# anew; a card is a text that people edit.
NOT_SUMMED = (ARTEFACT_FILE, MANIFEST_FILE, 'README.md')
DEFAULT_WEIGHTS = 'modnet_p'  # the weights with the best mattes
_SHIPPED = Path(__file__).parent


def list_weights() -> list[str]:
    """Names of the weights that ship with the package, usable wherever a checkpoint is."""
    return sorted(path.parent.name for path in _SHIPPED.glob(f'*/{CONFIG_FILE}'))


def describe_weights(name: str) -> dict[str, Any]:
    """What is told of weights that ship, as JSON types.

    Args:
      name: One of `list_weights()`.

    Returns:
      `name`; `network`, such as 'modnet'; `parameters`, their number; `input_size` in pixels; and
      `use`, what they are for, in words.
    """
    config = read_json(find_checkpoint(name) / CONFIG_FILE)
    about = config['provenance']['shipped']
    return {
        'name': name,
        'network': config['network'],
        'parameters': about['parameters'],
        'input_size': config['input_size'],
        'use': about['use'],
    }


def find_checkpoint(path_or_name: Path | str) -> Path:
    """The directory that a path or shipped name means; raises CheckpointError if there is none."""
    path = Path(path_or_name)
    # Unlike methods of Path, these functions take any name, however long.
    if os.path.isfile(path / CONFIG_FILE):
        return path
    if str(path_or_name) in list_weights():
        return _SHIPPED / path_or_name
    names = ', '.join(list_weights()) or 'none yet'
    if os.path.isdir(path):
        problem = f'the folder holds no {CONFIG_FILE}'
    elif os.path.isfile(path):
        problem = 'a file; foreign weights become a checkpoint with mattingjax import-weights'
    else:
        problem = explain_absence(path, 'folder') if str(path_or_name) else 'an empty path'
    raise CheckpointError(
        f'{path_or_name}: not a checkpoint ({problem}); weights that ship, by name: {names}'
    )


def find_artefact(path_or_name: Path | str) -> Path | None:
    """The artefact in a checkpoint's directory, once it is known to be whole and of this network.

    Its hash and the network's configuration are compared with the manifest. That the variables are
    those that it was made of is not: whoever changes them makes the artefact anew.

    Args:
      path_or_name: A checkpoint's directory, or a name from `list_weights()`.

    Returns:
      The path of the artefact; None if the directory has none.

    Raises:
      CheckpointError: There is no such checkpoint.
      ArtefactError: The artefact is damaged, or was made of another configuration.
    """
    folder = find_checkpoint(path_or_name)
    artefact, manifest = folder / ARTEFACT_FILE, folder / MANIFEST_FILE
    if not artefact.is_file() and not manifest.is_file():
        return None
    expected, network = _read_manifest(manifest)
    _check_hash(artefact, expected, 'runtime=jax runs the checkpoint beside it')
    try:
        config = read_json(folder / CONFIG_FILE)
    except MattingError as error:
        raise CheckpointError(f'{folder / CONFIG_FILE}: {error}') from error
    if not isinstance(config, dict) or _deciding(config) != _deciding(network):
        raise ArtefactError(
            f'{artefact}: made of another {CONFIG_FILE} than the one beside it; runtime=jax runs '
            'the checkpoint'
        )
    return artefact


def check_whole(artefact: Path) -> None:
    """Compares an artefact, and the weights of an IR, with the hashes in the manifest beside it.

    Without a manifest, or where it does not list the artefact, there is nothing to compare with.

    Args:
      artefact: A file that exists.

    Raises:
      ArtefactError: It is damaged, or the manifest is.
    """
    manifest = artefact.with_name(MANIFEST_FILE)
    if not manifest.is_file():
        return
    try:
        content = read_json(manifest)
    except MattingError as error:
        raise ArtefactError(f'{manifest}: {error}') from error
    artefacts = content.get('artefacts') if isinstance(content, dict) else None
    entry = artefacts.get(artefact.name) if isinstance(artefacts, dict) else None
    if not isinstance(entry, dict):
        return
    files = {'sha256': artefact, 'weights_sha256': artefact.with_suffix('.bin')}
    for key in files.keys() & entry.keys():
        remedy = f'if it was replaced on purpose, remove its {key} from {MANIFEST_FILE}'
        _check_hash(files[key], entry[key], remedy)


def _check_hash(file: Path, expected: str, remedy: str) -> None:
    try:
        found = hash_file(file) if file.is_file() else 'no such file'
    except OSError as error:
        raise ArtefactError(f'{file}: cannot be read ({error.strerror})') from error
    if found != expected:
        raise ArtefactError(
            f'{file}: damaged: expected SHA-256 {expected!s:.12}…, found {found:.12}…; {remedy}'
        )


def ships(path: Path) -> bool:
    """Whether a file is one of the package's own weights."""
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(_SHIPPED))


def list_checkpoint_files(path_or_name: Path | str) -> list[Path]:
    """The files of a checkpoint, without the artefact beside it."""
    exported = (ARTEFACT_FILE, MANIFEST_FILE)
    files = [file for file in find_checkpoint(path_or_name).rglob('*') if file.is_file()]
    return [file for file in files if file.name not in exported]


def read_network(artefact: Path) -> dict[str, Any]:
    """What the manifest beside an artefact says of its network, JSON types."""
    return _read_manifest(artefact.with_name(MANIFEST_FILE))[1]


def _read_manifest(path: Path) -> tuple[str, dict[str, Any]]:
    """The hash of the artefact, and the network that it was made of."""
    problem = f'{path}: expected the hash of {ARTEFACT_FILE} and its network'
    try:
        content = read_json(path)
        expected, network = content['artefacts'][ARTEFACT_FILE]['sha256'], content['network']
    except (MattingError, KeyError, TypeError) as error:
        raise ArtefactError(f'{problem} ({error})') from error
    if not isinstance(expected, str) or not isinstance(network, dict):
        raise ArtefactError(f'{problem}, found {expected!r:.30} and {network!r:.30}')
    return expected, network


def _deciding(network: dict[str, Any]) -> dict[str, Any]:
    """The part of a configuration, or of its copy in a manifest, that decides about mattes."""
    return {key: value for key, value in network.items() if key not in ('provenance', 'sha256')}
