"""Measures exported networks side by side, and reports it as JSON, a table and a picture."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exporters.benchmark.entries import FORMS, Entry
from exporters.benchmark.networks import find_signature, load_network
from mattingjax.errors import MattingError
from mattingjax.evaluation import Folders, evaluate_folders
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
    TIME,
    Point,
    Style,
    draw_trade_off,
    require_drawing,
    time_cost,
)
from mattingjax.inference.sessions import SESSIONS, Session
from mattingjax.process.files import check_folder, write_files
from mattingjax.process.machine import (
    RUNTIME_PACKAGES,
    describe_machine,
    format_machine,
    installed_versions,
)
from mattingjax.process.progress import say
from mattingjax.process.reading import hash_file
from mattingjax.process.timing import list_times_in_turn, summarise_times

JSON_FILE, PICTURE_FILE = 'benchmark.json', 'benchmark.png'
_DRAWN = ('mad', 'mean_gradient')
Loaded = dict[Entry, tuple[Session, tuple[int, ...]]]
Row = dict[str, Any]


def compare_artefacts(
    entries: Sequence[Entry],
    sets: Mapping[str, Folders],
    *,
    size: tuple[int, int] | None = None,
    rounds: int = 30,
    output: Path | None = None,
    tell: Callable[[str], None] = print,
) -> dict[str, Any]:
    """Measures exported networks: the size of the files, errors of the mattes, and then time.

    Errors are those of the mattes that the artefact gives in that runtime and precision, through
    the preprocessing that its signature asks for; other people's exports have none. The time is
    that of the network alone, for one input of noise, whose values do not change it: all are timed
    in turn, and each timed run follows an untimed one.

    Args:
      entries: What is measured; times are divided by the first one's.
      sets: Name of each set of photos → its folders; there may be none.
      size: Height and width for networks that leave them free; if None, their own.
      rounds: The number of timed runs of each.
      output: A folder for benchmark.json and, where there are photos, benchmark.png; those of an
        earlier run are replaced. None writes nothing.
      tell: Gets the note about the machine, and a Markdown table, the fastest first.

    Returns:
      What benchmark.json holds.

    Raises:
      MattingError: A network or picture is missing or damaged, or the output cannot be written;
        nothing was timed then.
      ImportError: A runtime is not installed, or what draws the picture.
    """
    _check_output(output, sets)
    for folders in sets.values():
        folders.open()  # before networks are loaded, which takes longer
    networks: Loaded = {
        entry: load_network(entry.path, entry.runtime, entry.precision, size) for entry in entries
    }
    rows = {entry: _describe(entry, *networks[entry]) for entry in entries}
    for entry, row in rows.items():
        row |= _measure_errors(entry, networks[entry][0], sets)
    _check_errors(rows, sets)
    for entry, times in summarise_times(_time(networks, rounds)).items():
        rows[entry] |= times
    report = {
        'machine': describe_machine(),
        'versions': installed_versions(('mattingjax', *_list_packages(entries))),
        'rounds': rounds,
        'data': {name: folders.to_dict() for name, folders in sets.items()},
        'networks': list(rows.values()),
    }
    if output is not None:
        contents = {output / PICTURE_FILE: _draw(rows, sets, report)} if sets else {}
        contents[output / JSON_FILE] = (json.dumps(report, indent=1) + '\n').encode()
        write_files(contents)
    tell(f'{_note(report)}\n\n{_format_table(rows, sets)}')
    return report


def _list_packages(entries: Sequence[Entry]) -> list[str]:
    runtimes = dict.fromkeys(entry.runtime for entry in entries)
    return [RUNTIME_PACKAGES[runtime] for runtime in runtimes if runtime in RUNTIME_PACKAGES]


def _check_output(output: Path | None, sets: Mapping[str, Folders]) -> None:
    if output is None:
        return
    check_folder(output)
    for folders in sets.values():
        folders.check_outside(output)
    if sets:
        require_drawing(PICTURE_FILE)


def _describe(entry: Entry, session: Session, shape: tuple[int, ...]) -> Row:
    return {
        'name': entry.name,
        'artefact': str(entry.path),
        'runtime': entry.runtime,
        'device': session.device,
        'precision': entry.precision,
        'form': entry.form(session.metadata),
        'shape': list(shape),
        'megabytes': sum(file.stat().st_size for file in entry.files) / 1e6,
        'sha256': {file.name: hash_file(file) for file in entry.files},
    }


def _measure_errors(entry: Entry, session: Session, sets: Mapping[str, Folders]) -> Row:
    if not sets:
        return {}
    if entry.is_converted or find_signature(entry.path, session.metadata) is None:
        say(f'{entry}: timed alone, as nothing says how to feed it photos')
        return {}
    errors: Row = {}
    for name, folders in sets.items():
        say(f'{entry}: {name}')
        report, about = evaluate_folders(
            folders,
            OPTIONS,
            network=str(entry.path),
            runtime=entry.runtime,
            precision=entry.precision,
            worst=0,
        )
        errors |= {'network': about['network'], name: mean_errors(report)}
    return errors


def _check_errors(rows: Mapping[Entry, Row], sets: Mapping[str, Folders]) -> None:
    if sets and not any('network' in row for row in rows.values()):
        raise MattingError('models: expected one with a manifest.json beside it, to measure errors')


def _time(networks: Loaded, rounds: int) -> dict[Entry, list[float]]:
    rng = np.random.default_rng(0)
    runs = {
        entry: functools.partial(session, rng.uniform(0, 255, shape).astype(session.input_dtype))
        for entry, (session, shape) in networks.items()
    }
    say(f'timing {len(runs)} in turn, {rounds} rounds')
    times = list_times_in_turn({str(entry): run for entry, run in runs.items()}, rounds, warm=True)
    return {entry: times[str(entry)] for entry in networks}


def _note(report: Mapping[str, Any]) -> str:
    """The machine, the versions and how it was measured on one line."""
    versions = ', '.join(f'{name} {version}' for name, version in report['versions'].items())
    return (
        f'{format_machine(report["machine"])}, as many threads as each runtime chooses; '
        f'medians of {report["rounds"]} runs in turn; {versions}'
    )


def _format_table(rows: Mapping[Entry, Row], sets: Mapping[str, Folders]) -> str:
    columns = list_columns(rows.values(), sets)
    titles = ['artefact', 'runtime', 'computes in', 'form', 'input', 'MB', *title_columns(columns)]
    lines = []
    for entry, row in sorted(rows.items(), key=lambda item: item[1]['seconds']):
        cells = [entry.name, entry.runtime, _describe_computing(row), row['form']]
        cells += ['×'.join(map(str, row['shape'])), f'{row["megabytes"]:.2f}']
        cells += format_errors(row, columns, decimals=3)
        lines.append([*cells, f'{1e3 * row["seconds"]:.2f}', f'{row["time_ratio"]:.3f}'])
    return to_markdown([*titles, 'ms', 'time'], lines)


def _describe_computing(row: Row) -> str:
    """What it computes in: of eight bits, `precision` is that of what stays in floating point."""
    return f'int8, {row["precision"]}' if row['form'] == 'INT8' else row['precision']


def _draw(
    rows: Mapping[Entry, Row], sets: Mapping[str, Folders], report: Mapping[str, Any]
) -> bytes:
    panels = {label_axis((name, figure)): (name, figure) for figure in _DRAWN for name in sets}
    points = [
        Point(
            entry.name if entry.precision == 'f32' else f'{entry.name}, {entry.precision}',
            {TIME: time_cost(row)},
            {
                title: FIGURES[figure][1] * row[name][figure]
                for title, (name, figure) in panels.items()
                if name in row
            },
            entry.runtime,
            row['form'],
        )
        for entry, row in rows.items()
    ]
    first = next(iter(rows))
    style = Style(
        tuple((TIME, title) for title in panels),
        len(sets),
        tuple(SESSIONS),
        FORMS,
        str(first),
        rows[first]['seconds'],
        _note(report),
    )
    return draw_trade_off(points, style)
