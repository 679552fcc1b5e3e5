"""The files of an export, and how the manifest describes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

from mattingjax.inference.signature import Signature
from mattingjax.process.reading import hash_file

# Largest absolute differences to the JAX network's alpha; `calibration` bounds those of eight bits.
TOLERANCES = {'fp32': 1e-4, 'fp16': 5e-3}


@dataclasses.dataclass(frozen=True)
class Artefact:
    """One network file of an export.

    Attributes:
      path: The file.
      kind: Its kind in words, for the manifest.
      precision: 'fp32', 'fp16' (some weights in half precision) or 'int8'.
      signature: How to feed it.
      runtimes: The runtimes in which it is verified.
      details: Further entries of the manifest, JSON types.
      subfolder: Where in the export's folder it lies; '' for the folder itself.
    """

    path: Path
    kind: str
    precision: str
    signature: Signature
    runtimes: tuple[str, ...]
    details: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)
    subfolder: str = ''

    @property
    def name(self) -> str:
        """Its path in the export's folder."""
        return str(PurePosixPath(self.subfolder, self.path.name))

    def describe(
        self, parities: dict[str, dict[str, Any]] | None, losses: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        """Its entry in the manifest, JSON types.

        Args:
          parities: Runtime → case → `verify.Parity`; None if the export is not verified.
          losses: Runtime → `calibration.Loss`, of an artefact in eight bits.
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
            **({'loss': _to_json({'': losses})['']} if losses else {}),
        }


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


def group_by_kind(operations: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Kind of operation → names, the kinds in the order of the alphabet.

    Args:
      operations: Kind and name of each.
    """
    found: dict[str, list[str]] = {}
    for kind, name in operations:
        found.setdefault(kind, []).append(name)
    return dict(sorted(found.items()))
