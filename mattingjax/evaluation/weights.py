"""Networks side by side: size, errors of their mattes, time; as scripts/benchmark_weights.py."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import jax
import numpy as np

from mattingjax.checkpoints import Checkpoint, load_config
from mattingjax.errors import MattingError
from mattingjax.evaluation.report import write_report
from mattingjax.evaluation.run import Folders, evaluate_folders
from mattingjax.evaluation.sets import (
    FIGURES,
    OPTIONS,
    format_errors,
    label_axis,
    list_columns,
    mean_errors,
    title_columns,
    to_markdown,
)
from mattingjax.evaluation.trade_off import (
    PARAMETERS,
    TIME,
    Cost,
    Point,
    Style,
    draw_trade_off,
    require_drawing,
    time_cost,
)
from mattingjax.inference import Predictor
from mattingjax.inference.jax_runtime import JaxRuntime
from mattingjax.networks import ModelConfig
from mattingjax.networks.complexity import measure_complexity
from mattingjax.process.files import check_folder, write_files
from mattingjax.process.machine import describe_machine, format_machine
from mattingjax.process.timing import summarise_times
from mattingjax.weights import list_checkpoint_files

PICTURE_FILE = 'weights.png'
_DRAWN = ('mean_gradient', 'mad')
_WORST = 8


class Timer(Protocol):
    """What times networks; as text it says what they run in."""

    def __call__(self, configs: Mapping[str, ModelConfig], /) -> Mapping[str, Sequence[float]]:
        """Name of each network → its configuration, to the seconds of its runs."""


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
    the soft band if no alpha of the set has one), and of the time what `summarise_times` makes of
    it. With sets, weights.png has for each of them the gradient error and the mean absolute
    difference, each against the time and against the number of parameters; without times, against
    the number of parameters only.

    Args:
      networks: Name of each network → its checkpoint, or the name of weights that ship.
      sets: Name of each set of photos → its folders.
      output: Folder of the reports; those of an earlier run are replaced.
      time_networks: Function from networks to the seconds that runs of each take; None measures no
        times.
      tell: Gets the figures as a Markdown table, after they are written.

    Returns:
      Name of each network → its figures, as weights.json holds them.

    Raises:
      MattingError: A network or picture is missing or damaged, or the output cannot be written.
      ImportError: What draws the picture is not installed.
    """
    check_folder(output)
    if sets:
        require_drawing(PICTURE_FILE)
    configs = {name: load_config(path) for name, path in networks.items()}
    for folders in sets.values():
        folders.check_outside(output)
    rows = {name: _measure_size(config, networks[name]) for name, config in configs.items()}
    for name, row in rows.items():
        for key, folders in sets.items():
            row[key] = _evaluate(folders, networks[name], output / f'{name}_{key}.json')
    if time_networks is not None:
        for name, times in summarise_times(time_networks(configs)).items():
            rows[name] |= times
    contents = {}
    if sets:
        families = {name: config.network for name, config in configs.items()}
        runtime = None if time_networks is None else str(time_networks)
        picture = _draw(rows, families, list(sets), runtime)
        contents[output / PICTURE_FILE] = picture
    contents[output / 'weights.json'] = (json.dumps(rows, indent=1) + '\n').encode()
    write_files(contents)
    tell(_format_rows(rows, sets))
    return rows


def _measure_size(config: ModelConfig, path_or_name: str) -> dict[str, Any]:
    complexity = measure_complexity(config)
    files = list_checkpoint_files(path_or_name)
    return {
        **{name: complexity[name] for name in ('parameters', 'macs', 'inference_macs')},
        'megabytes': sum(file.stat().st_size for file in files) / 1e6,
    }


def _evaluate(folders: Folders, network: str, report_file: Path) -> dict[str, float]:
    report, about = evaluate_folders(folders, OPTIONS, network=network, worst=_WORST)
    write_report(report_file, report, about)
    return mean_errors(report)


def _format_rows(rows: Mapping[str, Mapping[str, Any]], sets: Iterable[str]) -> str:
    """Formats the figures of networks as a Markdown table."""
    columns = list_columns(rows.values(), sets)
    is_timed = any('time_ratio' in row for row in rows.values())
    titles = ['', 'parameters', 'G MACs', 'MB', *title_columns(columns)]
    lines = []
    for name, row in rows.items():
        cells = [name, f'{row["parameters"]:,}', f'{row["inference_macs"] / 1e9:.2f}']
        cells += [f'{row["megabytes"]:.2f}', *format_errors(row, columns)]
        lines.append([*cells, *([f'{row["time_ratio"]:.3f}'] if is_timed else [])])
    return to_markdown([*titles, *(['time'] if is_timed else [])], lines)


def _draw(
    rows: Mapping[str, Mapping[str, Any]],
    families: Mapping[str, str],
    sets: Sequence[str],
    runtime: str | None,
) -> bytes:
    """Draws errors against the time and the number of parameters, a curve for each family.

    Args:
      rows: Name of each network → its figures.
      families: Name of each network → that of its family.
      sets: The names of the sets, a row of panels for each of their errors.
      runtime: What the networks were timed in, in words; None if they were not.
    """
    titles = {label_axis((name, figure)): (name, figure) for name in sets for figure in _DRAWN}
    costs = [PARAMETERS] if runtime is None else [TIME, PARAMETERS]
    points = [
        Point(
            name,
            _list_costs(row),
            {
                title: FIGURES[figure][1] * row[key][figure]
                for title, (key, figure) in titles.items()
            },
            '',
            families[name],
        )
        for name, row in sorted(rows.items(), key=lambda item: item[1]['parameters'])
    ]
    first = next(iter(rows))
    style = Style(
        panels=tuple((cost, title) for title in titles for cost in costs),
        columns=2,  # of one error against both costs, or of both errors against one
        markers=('',),
        colours=tuple(sorted(set(families.values()))),
        first=first,
        first_seconds=rows[first].get('seconds'),
        note='' if runtime is None else f'{runtime} on {format_machine(describe_machine())}',
        joined=True,
    )
    return draw_trade_off(points, style)


def _list_costs(row: Mapping[str, Any]) -> dict[str, Cost]:
    parameters = row['parameters']
    costs = {PARAMETERS: (parameters, parameters, parameters)}
    return costs | ({TIME: time_cost(row)} if 'seconds' in row else {})


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
