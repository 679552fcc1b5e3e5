"""What an exported network expects and gives: written by the exporter, read by the runtimes."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from mattingjax.errors import ArtefactError, MattingError
from mattingjax.models import Preprocessing
from mattingjax.models.architecture import Architecture, from_json, read_json

MANIFEST_FILE = 'manifest.json'


@dataclasses.dataclass(frozen=True)
class Signature(Architecture):
    """How to feed an artefact.

    Attributes:
      input_name: Name of the input node, [N, H, W, 3].
      output_name: Name of the output node, alpha [N, H, W, 1], float32 in [0, 1].
      shape: Of the input; 0 where any size goes.
      dtype: 'float32' or 'uint8'.
      scaling_inside: Whether the input is in [0, 255]. If not, it must be normalised before, as
        `preprocessing` says.
      colour_order: 'RGB' or 'BGR'.
      resize_inside: Whether photos of any size go in and the artefact resizes them.
      input_size: Pixels of the network's short side or of both sides (see `ModelConfig`).
      preprocessing: How a photo becomes the network's input.
    """

    input_name: str
    output_name: str
    shape: tuple[int, int, int, int]
    dtype: str
    scaling_inside: bool
    colour_order: str
    resize_inside: bool
    input_size: int
    preprocessing: Preprocessing

    def validate(self) -> None:
        self.require(self.dtype in ('float32', 'uint8'), 'dtype', "'float32' or 'uint8'")
        self.require(self.colour_order in ('RGB', 'BGR'), 'colour_order', "'RGB' or 'BGR'")
        self.require(all(0 <= size <= 2**14 for size in self.shape), 'shape', 'at least 0 each')
        self.require(self.input_size >= 1, 'input_size', 'at least 1 pixel')


def read_signature(path: Path | str, metadata: str | None = None) -> Signature:
    """The signature of an artefact: from itself, or from the manifest beside it.

    Args:
      path: The artefact.
      metadata: What the artefact says of itself, JSON; None if nothing.

    Raises:
      ArtefactError: There is neither, or it is damaged.
    """
    path = Path(path)
    manifest = path.parent / MANIFEST_FILE
    if metadata is not None:
        where = f'{path}: its metadata'
        try:
            content = json.loads(metadata)
        except ValueError as error:
            raise ArtefactError(f'{where}: no JSON ({error})') from error
    elif manifest.is_file():
        where = f'{manifest}: {path.name}'
        try:
            entries = read_json(manifest)
        except MattingError as error:
            raise ArtefactError(f'{manifest}: {error}') from error
        artefacts = entries.get('artefacts') if isinstance(entries, dict) else None
        content = artefacts.get(path.name) if isinstance(artefacts, dict) else None
    else:
        raise ArtefactError(
            f'{path}: expected a {MANIFEST_FILE} beside it, as exporters.export writes it'
        )
    if not isinstance(content, dict) or 'signature' not in content:
        raise ArtefactError(f'{where}: expected a signature, found none')
    try:
        return from_json(f'{where}: signature', content['signature'], Signature)
    except MattingError as error:
        raise ArtefactError(str(error)) from error
