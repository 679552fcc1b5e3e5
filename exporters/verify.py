"""Proves on photos and on noise that artefacts compute what the JAX network computes."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence

import jax
import numpy as np

from exporters.artefacts import TOLERANCES, Artefact
from exporters.cases import Case, Cases, describe_case
from exporters.precision.calibration import Calibration, Loss
from mattingjax import Checkpoint
from mattingjax.errors import MattingError
from mattingjax.images.compositing import to_uint8
from mattingjax.images.sheets import make_sheet, shrink
from mattingjax.inference.sessions import Session, create_session
from mattingjax.inference.signature import Signature
from mattingjax.networks import apply_compiled

# By how much a picture of differences enlarges them: what is usual shows, and nothing saturates.
_ENLARGED = {'fp32': 1000, 'fp16': 1000, 'int8': 10}


class VerificationError(MattingError):
    """An artefact that differs from the JAX network by more than it may."""


@dataclasses.dataclass(frozen=True)
class Parity:
    """How far an artefact is from the JAX network on one case.

    Attributes:
      max: Largest absolute difference to the JAX network's alpha.
      mean: Mean absolute difference to it.
      from_float64: Largest difference to the network computed in float64; None if `max` is within
        the tolerance.
      jax_from_float64: Largest difference, over all cases, between the JAX network in float32 and
        in float64; None if `max` is within the tolerance.
    """

    max: float
    mean: float
    from_float64: float | None = None
    jax_from_float64: float | None = None


Parities = dict[str, dict[str, dict[str, Parity]]]  # artefact → runtime → case
Losses = dict[str, dict[str, Loss]]  # artefact → runtime


def run_artefact(session: Session, case: Case, signature: Signature) -> np.ndarray:
    """Feeds a case to an artefact as its signature says; returns its alpha, [N, H, W, 1]."""
    return session(signature.encoding().encode(case.images))


def measure_parity(alpha: np.ndarray, case: Case) -> Parity:
    """Compares an artefact's alpha, [N, H, W, 1], with the JAX network's."""
    difference = np.abs(alpha.astype(np.float64) - case.alpha)
    return Parity(float(difference.max()), float(difference.mean()))


def worst_difference(session: Session, cases: Sequence[Case], signature: Signature) -> float:
    """The largest difference between the alphas of a loaded artefact and of the JAX network.

    Args:
      session: The artefact in a runtime.
      cases: All cases on which it is compared.
      signature: How it is fed.

    Returns:
      The difference, NaN if one of the alphas has a NaN.
    """
    found = [measure_parity(run_artefact(session, case, signature), case).max for case in cases]
    return float(np.max(found))  # Python's own may drop a NaN


class Verifier:
    """Compares artefacts with a checkpoint.

    Args:
      checkpoint: The network and its variables.
      cases: All cases on which artefacts are compared.
    """

    def __init__(self, checkpoint: Checkpoint, cases: Sequence[Case]):
        self._checkpoint = checkpoint
        self._cases = cases
        self._exact: dict[int, np.ndarray] = {}

    def check(self, name: str, precision: str, alpha: np.ndarray, case: Case) -> Parity:
        """Measures an artefact's alpha of a case, and checks that it is near enough.

        FP32 artefacts may differ by 1e-4 from the JAX network. A network with random weights, or
        pruned and not yet retrained, may amplify rounding so much that float32 does not determine
        its alpha to 1e-4. Then an artefact may be twice as far from the network in float64 as the
        JAX network in float32 is on the worst of the cases, but never further than half precision
        may be.

        Args:
          name: What messages call the artefact.
          precision: 'fp32', 'fp16', or 'int8', which `check_loss` bounds instead.
          alpha: Its alpha of the case, [N, H, W, 1].
          case: One of the cases.

        Raises:
          VerificationError: It differs by more.
        """
        parity = measure_parity(alpha, case)
        if precision not in TOLERANCES:
            return parity
        tolerance = TOLERANCES[precision]
        if parity.max <= tolerance:
            return parity
        if precision == 'fp32':
            distance = _largest_difference(alpha, self._compute_exactly(case))
            own = self._own_distance
            if distance <= min(2 * own, TOLERANCES['fp16']):
                return dataclasses.replace(parity, from_float64=distance, jax_from_float64=own)
        raise VerificationError(
            f'{name}: expected the alpha of the JAX network to within {tolerance:.0e} '
            f'({precision}), found a difference of {parity.max:.2g} on {describe_case(case)}'
        )

    @functools.cached_property
    def _own_distance(self) -> float:
        """The largest difference between the JAX network in float32 and in float64."""
        return max(
            _largest_difference(case.alpha, self._compute_exactly(case)) for case in self._cases
        )

    def _compute_exactly(self, case: Case) -> np.ndarray:
        if id(case) not in self._exact:
            with jax.experimental.enable_x64():
                variables, images = jax.tree.map(
                    lambda value: np.asarray(value, np.float64),
                    (self._checkpoint.variables, case.images),
                )
                outputs = apply_compiled(self._checkpoint.config, variables, images)
                self._exact[id(case)] = np.asarray(outputs['alpha'])
        return self._exact[id(case)]


def _largest_difference(alpha: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(alpha - exact).max())


def check_loss(name: str, session: Session, calibration: Calibration) -> Loss:
    """Measures what an artefact in eight bits loses, and checks that it is not too much.

    Args:
      name: What messages call the artefact.
      session: The artefact in a runtime.
      calibration: The photos, and the bound.

    Raises:
      VerificationError: It loses more.
    """
    loss = calibration.measure(session)
    if loss.excess <= calibration.limit:
        return loss
    bound = 'a rise of the mean absolute difference from the true alphas'
    if not calibration.has_alphas:
        bound = "a mean difference from the network's alpha"
    raise VerificationError(
        f'{name}: eight bits cost this network too much: expected {bound} of at most '
        f'{calibration.limit:.2g}, found {loss.excess:.2g} ({loss}); other formats may lose less'
    )


def verify_artefacts(
    checkpoint: Checkpoint,
    artefacts: Sequence[Artefact],
    cases: Cases,
    calibration: Calibration | None = None,
) -> tuple[Parities, Losses, np.ndarray]:
    """Compares every artefact with the JAX network, in each runtime that should read it.

    Args:
      checkpoint: The network and its variables.
      artefacts: The files of an export.
      cases: The result of `cases.create_cases`; artefacts of any size are compared at every size.
      calibration: The photos on which those in eight bits are measured.

    Returns:
      Name of each artefact → runtime → case → parity; name of each in eight bits → runtime → its
      loss; and a picture of the differences.

    Raises:
      VerificationError: An artefact differs by more than it may.
      ArtefactError: A runtime cannot read an artefact.
    """
    at_size, *_ = cases.values()
    at_all = [case for group in cases.values() for case in group]
    verifier = Verifier(checkpoint, at_all)
    measured: Parities = {}
    losses: Losses = {}
    pictures: dict[str, dict[str, np.ndarray]] = {}
    for artefact in artefacts:
        name, signature = artefact.name, artefact.signature
        any_size = not signature.shape[1] and not signature.resize_inside
        measured[name] = {}
        for runtime in artefact.runtimes:
            session = create_session(artefact.path, runtime)
            parities = measured[name][runtime] = {}
            for case in at_all if any_size else at_size:
                alpha = run_artefact(session, case, signature)
                if case is at_size[0]:
                    pictures.setdefault(artefact.precision, {})[name] = alpha[0, :, :, 0]
                parities[describe_case(case)] = verifier.check(
                    f'{name} in {runtime}', artefact.precision, alpha, case
                )
            if artefact.precision == 'int8' and calibration is not None:
                loss = check_loss(f'{name} in {runtime}', session, calibration)
                losses.setdefault(name, {})[runtime] = loss
    return measured, losses, make_verification_sheet(at_size[0], pictures)


def make_verification_sheet(case: Case, alphas: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    """Photo, the network's alpha, and each artefact's difference from it, enlarged; for a person.

    Args:
      case: The photo to show.
      alphas: Precision → name of an artefact → its alpha of the case's first image, [H, W].

    Returns:
      uint8 [h, w, 3], a row for each precision; differences are mid-grey where there are none.
    """
    alpha = case.alpha[0, :, :, 0]
    rows, captions = [[case.images[0].astype(np.uint8), to_uint8(alpha)]], [['photo, alpha by JAX']]
    for precision, found in alphas.items():
        factor = _ENLARGED[precision]
        rows.append([to_uint8(0.5 + factor * (values - alpha)) for values in found.values()])
        captions.append([f'difference x{factor} of {", ".join(found)}'])
    return make_sheet([[shrink(picture, 256) for picture in row] for row in rows], (), captions)
