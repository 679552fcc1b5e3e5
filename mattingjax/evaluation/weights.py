"""Networks side by side: size, errors of their mattes, time; as scripts/benchmark_weights.py."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint, load_config
from mattingjax.errors import MattingError
from mattingjax.evaluation.options import EvaluationOptions
from mattingjax.evaluation.report import write_report
from mattingjax.evaluation.run import Folders, evaluate_folders
from mattingjax.inference import Predictor
from mattingjax.inference.jax_runtime import JaxRuntime
from mattingjax.networks import ModelConfig
from mattingjax.networks.complexity import measure_complexity
from mattingjax.process.files import check_folder, write_file
from mattingjax.weights import list_checkpoint_files

# Figure of a report → its title in the table, and the factor of its values there.
_FIGURES = {
    'mad': ('MAD', 1e2),
    'mad_soft': ('MAD, soft band', 1e2),
    'mse': ('MSE', 1e2),
    'mean_gradient': ('mean gradient', 1e3),
}
_WORST = 8

Timer = Callable[[Mapping[str, ModelConfig]], Mapping[str, float]]


def parse_networks(entries: Iterable[str]) -> dict[str, str]:
    """Names of networks → their checkpoints.

    Args:
      entries: Each is the name of weights that ship, or NAME=CHECKPOINT.

    Raises:
      MattingError: There is none, or a name is impossible or there twice.
    """
    networks: dict[str, str] = {}
    for entry in entries:
        name, _, path = entry.partition('=')
        if name in networks or not re.fullmatch(r'[\w.-]+', name):
            raise MattingError(
                f'networks: expected names of letters, digits and ._-, each once, got {entry!r}; '
                'NAME=CHECKPOINT names a path'
            )
        networks[name] = path or name
    if not networks:
        raise MattingError('networks: expected at least one, no weights ship')
    return networks


def compare_weights(
    networks: Mapping[str, str],
    sets: Mapping[str, Folders],
    output: Path,
    time_networks: Timer | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, dict[str, Any]]:
    """Measures networks side by side; writes weights.json and a report of each network and set.

    The figures of each network are `parameters`, `macs` of all heads, `inference_macs`,
    `megabytes` of the checkpoint's files, for each set a dictionary of mean errors (without that of
    the soft band if no alpha of the set has one), and `time_ratio`, the time divided by that of the
    first network.

    Args:
      networks: Name of each network → its checkpoint, or the name of weights that ship.
      sets: Name of each set of photos → its folders.
      output: Folder of the reports; those of an earlier run are replaced.
      time_networks: Function from networks to the seconds that each takes; None measures no times.
      tell: Gets the figures as a Markdown table, after they are written.

    Returns:
      Name of each network → its figures, as weights.json holds them.

    Raises:
      MattingError: A network or picture is missing or damaged, or the output cannot be written.
    """
    check_folder(output)
    configs = {name: load_config(path) for name, path in networks.items()}
    for folders in sets.values():
        folders.check_outside(output)
    rows = {name: _measure_size(config, networks[name]) for name, config in configs.items()}
    for name, row in rows.items():
        for key, folders in sets.items():
            row[key] = _evaluate(folders, networks[name], output / f'{name}_{key}.json')
    if time_networks is not None:
        seconds = time_networks(configs)
        first = next(iter(seconds.values()))
        for name, row in rows.items():
            row['time_ratio'] = seconds[name] / first
    write_file(output / 'weights.json', (json.dumps(rows, indent=1) + '\n').encode())
    tell(_format_rows(rows))
    return rows


def _measure_size(config: ModelConfig, path_or_name: str) -> dict[str, Any]:
    complexity = measure_complexity(config)
    files = list_checkpoint_files(path_or_name)
    return {
        **{name: complexity[name] for name in ('parameters', 'macs', 'inference_macs')},
        'megabytes': sum(file.stat().st_size for file in files) / 1e6,
    }


def _evaluate(folders: Folders, network: str, report_file: Path) -> dict[str, float]:
    options = EvaluationOptions(metrics=('mad', 'mse', 'mean_gradient'), regions=('whole', 'soft'))
    report, about = evaluate_folders(folders, options, network=network, worst=_WORST)
    write_report(report_file, report, about)
    return {name: mean for name in _FIGURES if not math.isnan(mean := report.means[name])}


def _format_rows(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Formats the figures of networks as a Markdown table."""
    first = next(iter(rows.values()))
    sets = [key for key, value in first.items() if isinstance(value, Mapping)]
    titles = ['', 'parameters', 'G MACs', 'MB']
    for key in sets:
        titles += [f'{key}: {_FIGURES[figure][0]}' for figure in first[key]]
    if 'time_ratio' in first:
        titles.append('time')
    lines = [titles, ['---'] * len(titles)]
    for name, row in rows.items():
        cells = [name, f'{row["parameters"]:,}', f'{row["inference_macs"] / 1e9:.2f}']
        cells.append(f'{row["megabytes"]:.2f}')
        for key in sets:
            cells += [f'{value * _FIGURES[figure][1]:.2f}' for figure, value in row[key].items()]
        if 'time_ratio' in row:
            cells.append(f'{row["time_ratio"]:.3f}')
        lines.append(cells)
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in lines)


def compare_alphas(
    checkpoint: Checkpoint, packed: Checkpoint, images: Iterable[np.ndarray]
) -> tuple[float, float]:
    """How far the two networks' alphas differ, both at the size of the packed one.

    Args:
      checkpoint: The network before packing.
      packed: The network that `pack_checkpoint` made of it.
      images: Photos, uint8 [H, W, 3].

    Returns:
      The mean absolute difference over all photos, and the largest, in [0, 1].
    """
    before, after = (
        Predictor(JaxRuntime(Checkpoint(packed.config, jax.tree.map(np.float32, one.variables))))
        for one in (checkpoint, packed)
    )
    differences = [np.abs(before(image) - after(image)) for image in images]
    means, largest = ([f(one) for one in differences] for f in (np.mean, np.max))
    return float(np.mean(means)), float(max(largest))
