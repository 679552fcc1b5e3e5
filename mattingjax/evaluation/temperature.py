"""Temperature scaling, which makes a trained network's mattes more decided, or less.

A cross-entropy, as in MMNet's loss, is least where the alpha is the expected one. So pixels that
are ambiguous in training stay grey, on easy photos too. A temperature below 1 makes alphas more
decided. Down to some temperature that lowers the mean absolute error; the mean squared error
usually rises.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from flax.traverse_util import flatten_dict, unflatten_dict

from mattingjax.checkpoints import (
    Checkpoint,
    check_target,
    hash_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from mattingjax.errors import MattingError
from mattingjax.evaluation import EvaluationOptions, Folders, Records, evaluate
from mattingjax.inference import Predictor
from mattingjax.inference.jax_runtime import JaxRuntime
from mattingjax.networks import find_network

FIGURES = ('mad', 'mse', 'mean_gradient')
_LEAST, _MOST = 0.05, 20.0


def rescale(
    checkpoint: str,
    temperatures: Sequence[float | str],
    *,
    images: str | None,
    alphas: str | None,
    alpha_values: str,
    output: str | None,
    overwrite: bool,
    tell: Callable[[str], None] = print,
) -> None:
    """Compares temperatures on photos, and writes the network with the best one, or with one given.

    Args:
      checkpoint: A checkpoint directory, or the name of weights that ship.
      temperatures: The temperatures, from 0.05 to 20; without photos exactly one.
      images: Folder of photos; None compares nothing.
      alphas: Folder of their alphas, of the same names.
      alpha_values: What the numbers in alphas mean, as
        `mattingjax.data.alpha_values.parse_alpha_values` reads it.
      output: The checkpoint directory to make; None writes nothing.
      overwrite: Whether a checkpoint that lies there is replaced.
      tell: Gets the texts for the user: the table of errors before the checkpoint is written, its
        temperature afterwards.

    Raises:
      MattingError: Arguments are missing or out of range, or a file cannot be read or written.
    """
    try:
        numbers = [float(number) for number in temperatures]
    except ValueError as error:
        listed = ','.join(map(str, temperatures))
        raise MattingError(f'temperatures: expected numbers, got {listed}') from error
    if bool(images) != bool(alphas):
        raise MattingError('images, alphas: expected both or neither')
    if not images and (not output or len(numbers) != 1):
        raise MattingError(
            'images, alphas, output: expected photos and alphas, or an output and one temperature'
        )
    if not numbers:
        raise MattingError('temperatures: expected at least one number, got none')
    if output:
        check_target(output, overwrite=overwrite)
    network = load_checkpoint(checkpoint)
    chosen = numbers[0]
    if images and alphas:
        records = Folders(Path(images), Path(alphas), alpha_values=alpha_values).open()
        errors = compare_temperatures(network, records, numbers)
        tell(_format_errors(errors))
        chosen = min(errors, key=lambda temperature: errors[temperature]['mad'])
    if output:
        save_checkpoint(output, with_temperature(network, chosen), overwrite=overwrite)
        tell(f'{output}: temperature {chosen:g}')


def with_temperature(checkpoint: Checkpoint, temperature: float) -> Checkpoint:
    """Changes the alpha of a network from sigmoid(z) to sigmoid(z / temperature).

    The weights of the last layer are divided, so that no operation is added. Of the other outputs
    only MMNet's `logits` change.

    Args:
      checkpoint: The network.
      temperature: A number from 0.05 to 20; alphas move away from 0.5 below 1, towards 0.5 above.

    Returns:
      A checkpoint whose provenance lists all temperatures that were applied, in order, each with
      the hash of the network before.

    Raises:
      MattingError: The temperature is out of range.

    References:
      Guo et al., On Calibration of Modern Neural Networks (https://arxiv.org/abs/1706.04599),
      section 4.2, which chooses the temperature by the likelihood.
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
    """Measures the errors of a network at several temperatures.

    Args:
      checkpoint: The network.
      records: Photos with alphas, as `evaluation.evaluate` takes them.
      temperatures: Numbers from 0.05 to 20.

    Returns:
      Temperature → name of each of `FIGURES`, which are means over pixels → mean over the photos.

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


def _format_errors(errors: Mapping[float, Mapping[str, float]]) -> str:
    """Formats what `compare_temperatures` returns as a table, a line for each temperature."""
    lines = [' '.join(['temperature', *(f'{name:>13}' for name in FIGURES)])]
    for temperature, means in errors.items():
        figures = (f'{means[name]:13.5f}' for name in FIGURES)
        lines.append(' '.join([f'{temperature:11g}', *figures]))
    return '\n'.join(lines)


def _check(temperature: float) -> None:
    if not _LEAST <= temperature <= _MOST:
        raise MattingError(f'temperature: expected {_LEAST:g} to {_MOST:g}, got {temperature:g}')


def _divide_last_layer(checkpoint: Checkpoint, temperature: float) -> dict[str, Any]:
    last = find_network(checkpoint.config.network).last_layer
    params = flatten_dict(checkpoint.variables['params'], sep='/')
    for name in ('kernel', 'bias'):
        params[f'{last}/{name}'] = params[f'{last}/{name}'] / temperature
    return checkpoint.variables | {'params': unflatten_dict(params, sep='/')}
