"""Temperature scaling: how decided a network's mattes are, changed after its training.

A cross-entropy, which MMNet's loss has, is least where an alpha is the one to be expected: what is
doubtful in training stays grey, on easy photos too. A temperature below 1 makes such mattes more
decided. Down to some temperature that lowers the mean absolute error; the mean square error mostly
rises.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.checkpoints import Checkpoint, hash_checkpoint
from mattingjax.errors import MattingError
from mattingjax.evaluation import EvaluationOptions, Records, evaluate
from mattingjax.inference import Predictor
from mattingjax.inference.runtimes import JaxRuntime
from mattingjax.networks import find_network

FIGURES = ('mad', 'mse', 'mean_gradient')
LEAST, MOST = 0.05, 20.0


def with_temperature(checkpoint: Checkpoint, temperature: float) -> Checkpoint:
    """The network whose alpha is sigmoid(z / temperature), where it was sigmoid(z).

    The last layer takes it in: nothing is added to the network. Other outputs stay as they are, but
    for MMNet's `logits`.

    Args:
      checkpoint: The network.
      temperature: From 0.05 to 20; below 1 alphas move away from a half, above 1 towards it.

    Returns:
      A checkpoint; its provenance lists the temperatures, one after the other where there are
      several, each with the hash of the network that it was applied to.

    Raises:
      MattingError: The temperature is out of range.

    References:
      Guo et al., On Calibration of Modern Neural Networks (https://arxiv.org/abs/1706.04599),
      section 4.2, which chooses it by another measure.
    """
    _check(temperature)
    provenance = checkpoint.config.provenance
    applied = {'temperature': temperature, 'sha256': hash_checkpoint(checkpoint)}
    temperatures = [*provenance.get('temperatures', []), applied]
    config = dataclasses.replace(
        checkpoint.config, provenance=provenance | {'temperatures': temperatures}
    )
    return Checkpoint(config, _divide_last_layer(checkpoint, temperature))


def compare_temperatures(
    checkpoint: Checkpoint, records: Records, temperatures: Sequence[float]
) -> dict[float, dict[str, float]]:
    """The errors of a network at several temperatures.

    Args:
      checkpoint: The network.
      records: Photos with alphas; see `evaluation.evaluate`.
      temperatures: See `with_temperature`.

    Returns:
      Temperature → mean over the photos of each of `FIGURES`, all means over the pixels.

    Raises:
      MattingError: A temperature is out of range, or a photo cannot be read.
    """
    for temperature in temperatures:
        _check(temperature)
    options = EvaluationOptions(metrics=FIGURES, regions=('whole',))
    errors = {}
    for temperature in temperatures:
        variables = _divide_last_layer(checkpoint, temperature)
        predictor = Predictor(JaxRuntime(Checkpoint(checkpoint.config, variables)))
        errors[temperature] = evaluate(predictor, records, options, worst=0).means
    return errors


def best_temperature(errors: Mapping[float, Mapping[str, float]]) -> float:
    """Of what `compare_temperatures` returns, the one with the least mean absolute error."""
    return min(errors, key=lambda temperature: errors[temperature]['mad'])


def format_temperatures(errors: Mapping[float, Mapping[str, float]]) -> str:
    """What `compare_temperatures` returns as a table, a line for each."""
    lines = [' '.join(['temperature', *(f'{name:>13}' for name in FIGURES)])]
    for temperature, means in errors.items():
        figures = (f'{means[name]:13.5f}' for name in FIGURES)
        lines.append(' '.join([f'{temperature:11g}', *figures]))
    return '\n'.join(lines)


def _check(temperature: float) -> None:
    if not LEAST <= temperature <= MOST:
        raise MattingError(f'temperature: expected {LEAST:g} to {MOST:g}, got {temperature:g}')


def _divide_last_layer(checkpoint: Checkpoint, temperature: float) -> dict[str, Any]:
    last = find_network(checkpoint.config.network).last_layer
    params = flatten_dict(checkpoint.variables['params'], sep='/')
    for name in ('kernel', 'bias'):
        params[f'{last}/{name}'] = params[f'{last}/{name}'] / temperature
    return checkpoint.variables | {'params': unflatten_dict(params, sep='/')}
