"""Proof that an artefact computes what the JAX network computes, on photos and on noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporters.artefacts import TOLERANCES, Artefact
from mattingjax import Checkpoint
from mattingjax.compositing import make_sheet, to_uint8
from mattingjax.errors import MattingError
from mattingjax.images import load_image, resize
from mattingjax.models import apply_compiled
from mattingjax.sessions import OpenVinoSession, Session, create_session
from mattingjax.signature import Signature

NOISE = 'noise'
MAX_PHOTOS = 8


class VerificationError(MattingError):
    """An artefact that differs from the JAX network by more than it may."""


@dataclasses.dataclass(frozen=True)
class Case:
    """Images and what the JAX network makes of them.

    Attributes:
      name: Of the photo, or 'noise'.
      images: float32 [N, H, W, 3] RGB in [0, 255].
      alpha: float32 [N, H, W, 1] in [0, 1].
    """

    name: str
    images: np.ndarray
    alpha: np.ndarray


@dataclasses.dataclass(frozen=True)
class Parity:
    """Absolute differences to the JAX network's alpha, over one case or several."""

    max: float
    mean: float


def load_photos(paths: Sequence[Path]) -> dict[str, np.ndarray]:
    """Photos to verify with, name → uint8 [H, W, 3]; scikit-image's if there are no paths."""
    if paths:
        return {path.stem: load_image(path) for path in paths[:MAX_PHOTOS]}
    import skimage.data

    return {'astronaut': skimage.data.astronaut(), 'chelsea': skimage.data.chelsea()}


def create_cases(
    checkpoint: Checkpoint, photos: dict[str, np.ndarray], shape: tuple[int, int, int]
) -> dict[tuple[int, int, int], list[Case]]:
    """Cases at the size of an export, and at two sizes more, one of them of batch size 2.

    Args:
      checkpoint: The network.
      photos: uint8 [H, W, 3] each; the first alone is used at the other sizes.
      shape: Images at once, height, width.

    Returns:
      Size → its cases; the size of the export is the first.
    """
    _, height, width = shape
    multiple = checkpoint.config.preprocessing.multiple_of
    short, narrow = (max(1, side // 2 // multiple) * multiple for side in (height, width))
    one = dict(list(photos.items())[:1])
    cases = {shape: _cases_at(checkpoint, photos, shape)}
    for other in ((2, short, narrow), (1, height, narrow)):
        cases.setdefault(other, _cases_at(checkpoint, one, other))
    return cases


def _cases_at(
    checkpoint: Checkpoint, photos: dict[str, np.ndarray], shape: tuple[int, int, int]
) -> list[Case]:
    """The photos, resized by area as in prediction, and uniform noise, in whole numbers."""
    batch, height, width = shape
    inputs = {}
    for name, photo in photos.items():
        picture = np.clip(np.round(resize(photo.astype(np.float32), height, width)), 0, 255)
        # The rest of a batch is the mirrored photo: a mix-up of images shows.
        inputs[name] = np.stack([picture[:, :: (-1) ** i] for i in range(batch)])
    rng = np.random.default_rng(0)
    inputs[NOISE] = rng.integers(0, 256, (batch, height, width, 3)).astype(np.float32)
    config, variables = checkpoint.config, checkpoint.variables
    return [
        Case(name, images, np.asarray(apply_compiled(config, variables, images)['alpha']))
        for name, images in inputs.items()
    ]


def measure_parity(
    session: Session, cases: Sequence[Case], signature: Signature
) -> tuple[dict[str, Parity], np.ndarray]:
    """Runs an artefact on every case.

    Args:
      session: The artefact.
      cases: What to compare with.
      signature: How it is fed.

    Returns:
      Name of a case and its size → how far the artefact is from the JAX network, and the alpha of
      the first case's first image, [H, W].
    """
    parities = {}
    first = None
    for case in cases:
        images = case.images
        if not signature.scaling_inside:
            preprocessing = signature.preprocessing
            images = (images - np.asarray(preprocessing.mean)) / np.asarray(preprocessing.std)
        if signature.colour_order == 'BGR':
            images = images[..., ::-1]
        alpha = session(np.ascontiguousarray(images, signature.dtype))
        difference = np.abs(alpha.astype(np.float64) - case.alpha)
        size = 'x'.join(map(str, case.alpha.shape[:3]))
        parities[f'{case.name} {size}'] = Parity(float(difference.max()), float(difference.mean()))
        first = alpha[0, :, :, 0] if first is None else first
    assert first is not None, 'no case'
    return parities, first


def worst_difference(model: Any, cases: Sequence[Case], signature: Signature) -> float:
    """The largest difference of an `openvino.Model` to the JAX network, over all cases."""
    parities, _ = measure_parity(OpenVinoSession(model), cases, signature)
    return max(parity.max for parity in parities.values())


def check_parity(name: str, precision: str, parities: dict[str, Parity]) -> None:
    """Raises VerificationError where an artefact is further from the network than it may be."""
    tolerance = TOLERANCES[precision]
    for case, parity in parities.items():
        if not parity.max <= tolerance:
            raise VerificationError(
                f'{name}: expected the alpha of the JAX network to within {tolerance:.0e} '
                f'({precision}), found a difference of {parity.max:.2g} on {case}'
            )


def verify_artefacts(
    artefacts: Sequence[Artefact], cases: dict[tuple[int, int, int], list[Case]]
) -> tuple[dict[str, Any], np.ndarray]:
    """Compares every artefact with the JAX network, in each runtime that should read it.

    Args:
      artefacts: The files of an export.
      cases: Those of `create_cases`; an artefact of any size is compared at every size.

    Returns:
      Name of an artefact → runtime → case → largest and mean difference, and a picture of it.

    Raises:
      VerificationError: One differs by more than it may.
      ArtefactError: A runtime cannot read one.
    """
    at_size, *_ = cases.values()
    at_all = [case for group in cases.values() for case in group]
    measured: dict[str, Any] = {}
    alphas = {}
    for artefact in artefacts:
        name, signature = artefact.path.name, artefact.signature
        any_size = not signature.shape[1] and not signature.resize_inside
        measured[name] = {}
        for runtime in artefact.runtimes:
            session = create_session(artefact.path, runtime)
            parities, alphas[name] = measure_parity(
                session, at_all if any_size else at_size, signature
            )
            check_parity(f'{name} in {runtime}', artefact.precision, parities)
            measured[name][runtime] = {
                case: dataclasses.asdict(parity) for case, parity in parities.items()
            }
    return measured, make_verification_sheet(at_size[0], alphas)


def make_verification_sheet(case: Case, alphas: dict[str, np.ndarray]) -> np.ndarray:
    """Photo, the network's alpha, and each artefact's difference from it ×1000; for a person.

    Args:
      case: A photo.
      alphas: Name of an artefact → its alpha of the case's first image, [H, W].

    Returns:
      uint8 [h, w, 3]; differences are mid-grey where there are none.
    """
    alpha = case.alpha[0, :, :, 0]
    row = [case.images[0].astype(np.uint8), to_uint8(alpha)]
    row += [to_uint8(0.5 + 1000 * (values - alpha)) for values in alphas.values()]
    scale = min(1, 256 / max(alpha.shape))
    height, width = (max(1, round(side * scale)) for side in alpha.shape)
    return make_sheet([[resize(picture, height, width) for picture in row]])
