"""Temperature scaling: how sure of itself a network is, changed after its training.

Losses with a cross-entropy, as MMNet's, are least where an alpha is the expected one: unsure
regions stay grey, on easy photos too. A temperature below 1 makes such mattes more decided, which
the mean absolute error rewards and the mean square error does not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.checkpoints import Checkpoint, hash_checkpoint
from mattingjax.errors import MattingError
from mattingjax.evaluation import EvaluationOptions, Records, evaluate
from mattingjax.inference import Predictor
from mattingjax.runtimes import JaxRuntime

METRICS = ('mad', 'mse', 'gradient')
# The layer whose output the sigmoid, or the softmax, makes the alpha of.
_LAST_LAYERS = {'mmnet': 'final_block', 'modnet': 'f_branch/conv_f_1'}


def with_temperature(checkpoint: Checkpoint, temperature: float) -> Checkpoint:
    """The network whose alpha is sigmoid(z / temperature), where it was sigmoid(z).

    The last layer takes it in: nothing is added to the network. Other outputs stay as they are, but
    for MMNet's `logits`.

    Args:
      checkpoint: The network.
      temperature: Over 0; below 1 alphas move away from a half, above 1 towards it.

    Returns:
      A checkpoint whose provenance names the temperature and the hash of what it was.

    Raises:
      MattingError: The temperature is impossible.

    References:
      Guo et al., On Calibration of Modern Neural Networks (https://arxiv.org/abs/1706.04599),
      section 4.2.
    """
    if not 0 < temperature < math.inf:
        raise MattingError(f'temperature: expected a number over 0, got {temperature}')
    provenance = checkpoint.config.provenance | {
        'temperature': {'value': temperature, 'sha256': hash_checkpoint(checkpoint)}
    }
    config = dataclasses.replace(checkpoint.config, provenance=provenance)
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
      Temperature → mean over the photos of each of `METRICS`.

    Raises:
      MattingError: A temperature is impossible, or a photo cannot be read.
    """
    options = EvaluationOptions(metrics=METRICS, regions=('whole',))
    errors = {}
    for temperature in temperatures:
        variables = with_temperature(checkpoint, temperature).variables
        # The configuration as it was, so that the network is compiled once.
        predictor = Predictor(JaxRuntime(Checkpoint(checkpoint.config, variables)))
        errors[temperature] = evaluate(predictor, records, options, worst=0).means
    return errors


def _divide_last_layer(checkpoint: Checkpoint, temperature: float) -> dict[str, Any]:
    last = _LAST_LAYERS[checkpoint.config.network]
    params = flatten_dict(checkpoint.variables['params'], sep='/')
    for name in ('kernel', 'bias'):
        params[f'{last}/{name}'] = params[f'{last}/{name}'] / temperature
    return checkpoint.variables | {'params': unflatten_dict(params, sep='/')}
