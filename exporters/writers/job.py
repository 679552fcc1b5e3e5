"""What every writer of an export's files needs."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from exporters import verify
from exporters.cases import Case
from exporters.options import ExportOptions
from exporters.precision.calibration import Calibration
from mattingjax.inference.sessions import Session
from mattingjax.inference.signature import Signature


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One export.

    Attributes:
      folder: The folder of its files.
      graph: The frozen graph, a `tf.compat.v1.GraphDef`.
      signature: How it is fed.
      network: What the metadata say of the network, JSON types.
      options: What is written.
      name: The checkpoint's: of weights that ship, or its folder's.
      cases: Waits for images and the JAX network's alphas at the size of the export.
      calibration: The photos for eight bits; None where nothing is in eight bits.
    """

    folder: Path
    graph: Any
    signature: Signature
    network: dict[str, Any]
    options: ExportOptions
    name: str
    cases: Callable[[], Sequence[Case]]
    calibration: Calibration | None = None

    def metadata(self, precision: str, signature: Signature | None = None) -> str:
        """What an artefact says of itself: the network, its precision, how to feed it; JSON."""
        signature = signature or self.signature
        return json.dumps(
            {'network': self.network, 'precision': precision, 'signature': signature.to_dict()}
        )

    def difference(self, session: Session) -> float:
        """The largest difference between a session's alphas of the cases and the network's."""
        return verify.worst_difference(session, self.cases(), self.signature)
