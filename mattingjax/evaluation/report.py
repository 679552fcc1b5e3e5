"""Reports of an evaluation: a table, JSON, CSV, and a picture of the worst photos."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.errors import MattingError, OutputError, list_some, one_line
from mattingjax.evaluation.comparison import EvaluationReport
from mattingjax.evaluation.metrics import METRICS
from mattingjax.evaluation.panel import draw_panel
from mattingjax.images import encode_png
from mattingjax.process.files import check_folder, write_files
from mattingjax.process.machine import RUNTIME_PACKAGES, installed_versions

_TOOLS = ('mattingjax', 'jax', 'numpy', 'scipy', 'opencv-python-headless', 'pillow')
_WIDEST = 48  # characters of a name in the table
_TITLES = {'whole': 'whole image', 'unknown': 'unknown region', 'soft': 'soft band'}


def format_table(report: EvaluationReport, worst: int = 5) -> str:
    """Formats a table for each region: figures of the worst photos, median and mean of all.

    Args:
      report: The evaluation.
      worst: Number of photos that are listed, at least 0.
    """
    named = report.ranking[:worst]
    tables = []
    if len(named) < len(report.errors):
        tables.append(
            f'the worst {len(named)} of {len(report.errors)} photos, by '
            f'{next(iter(report.options.columns))}; median and mean are those of all'
        )
    for region in report.options.regions:
        columns = {
            metric: column
            for column, (of, metric) in report.options.columns.items()
            if of == region
        }
        count = report.counts[next(iter(columns.values()))]
        rows = [(one_line(name, _WIDEST), report.errors[name]) for name in named]
        rows += [(f'median of {count}', report.medians), (f'mean of {count}', report.means)]
        title = _TITLES[region]
        width = max(map(len, [title, *(name for name, _ in rows)]))
        lines = [f'{title:{width}}' + ''.join(f'{metric:>15}' for metric in columns)]
        for name, row in rows:
            cells = (format_figure(metric, row[column]) for metric, column in columns.items())
            lines.append(f'{name:{width}}' + ''.join(f'{cell:>15}' for cell in cells))
        tables.append('\n'.join(lines))
    return '\n\n'.join(tables)


def format_protocol(report: EvaluationReport, about: Mapping[str, Any]) -> str:
    """Formats what the figures mean: network, photos, size, regions and definitions, line by line.

    Args:
      report: The evaluation.
      about: What was evaluated, as JSON types; each entry gets a line.
    """
    lines = describe_entries(about)
    if report.skipped:
        count = len(report.errors)
        lines.append(
            f'photos: {count} of {count + len(report.skipped)}, the others skipped: '
            f'{list_some(report.skipped, 1)}'
        )
    options = report.options
    lines.append(f'compared at: {options.describe_size()}')
    lines += [f'{_TITLES[region]}: {options.describe_region(region)}' for region in options.regions]
    lines += [f'{name}: {METRICS[name].definition}' for name in options.metrics]
    return '\n'.join(lines)


def describe_entries(about: Mapping[str, Any]) -> list[str]:
    """Formats what was evaluated, as JSON types: a line for each entry that says something."""
    return [f'{what}: {words}' for what, entry in about.items() if (words := _in_words(entry))]


def format_figure(metric: str, value: float) -> str:
    """Formats the value of a metric: a mean with six decimals, a sum with four, NaN as a dash."""
    if math.isnan(value):
        return '–'
    is_mean = metric not in METRICS or METRICS[metric].is_mean
    return f'{value:.6f}' if is_mean else f'{value:.4f}'


def draw_worst(report: EvaluationReport) -> np.ndarray:
    """Draws the worst photos, whose pictures the report has: uint8 [h, w, 3]."""
    captions = {
        name: _format_caption(report, rank, name)
        for rank, name in enumerate(report.pictures, start=1)
    }
    return draw_panel(report.pictures, captions)


def check_report(path: Path, name: str, *, overwrite: bool = False, picture: str = 'worst') -> None:
    """Raises MattingError unless `write_report` may write to a path; writes nothing itself.

    Args:
      path: The report, NAME.json.
      name: The name of the caller's argument, for the error message.
      overwrite: Whether a report that lies there may be replaced.
      picture: What the name of the picture beside it ends with.
    """
    if path.suffix != '.json':
        raise MattingError(f'{name}: expected a name that ends in .json, got {path}')
    check_folder(path.parent)
    for file in name_files(path, picture):
        if file.is_dir():
            raise OutputError(f'{file}: expected a file or nothing, found a folder')
        if file.exists() and not overwrite:
            raise OutputError(f'{file}: a report lies there already; overwrite=True replaces it')


def write_report(path: Path, report: EvaluationReport, about: Mapping[str, Any]) -> list[Path]:
    """Writes a report as JSON, and beside it the figures as CSV and the worst photos as PNG.

    Args:
      path: The report, NAME.json; NAME.csv is written beside it, and NAME_worst.png if the report
        has pictures.
      report: The evaluation.
      about: What was evaluated, as JSON types; it is written before the figures.

    Returns:
      The files written.

    Raises:
      OutputError: A file cannot be written.
    """
    json_file, csv_file, panel_file = name_files(path)
    contents = {csv_file: _format_csv(report)}
    if report.pictures:
        contents[panel_file] = encode_png(draw_worst(report))
    # Written last, so that a JSON file means a complete report.
    contents[json_file] = _format_json(report, about)
    write_files(contents)
    return list(contents)


def name_files(path: Path, picture: str = 'worst') -> tuple[Path, Path, Path]:
    """The files of a report: NAME.json, NAME.csv and NAME_picture.png."""
    return path, path.with_suffix('.csv'), path.with_name(f'{path.stem}_{picture}.png')


def to_json(content: Mapping[str, Any]) -> bytes:
    """A report as JSON, with the versions that made it; figures that are NaN become null."""
    whole = _without_nan(
        {**content, 'versions': installed_versions((*_TOOLS, *RUNTIME_PACKAGES.values()))}
    )
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + '\n'
    return text.encode('utf-8', 'backslashreplace')


def to_csv(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> bytes:
    """A table as CSV; what is NaN stays empty."""
    table = io.StringIO()
    writer = csv.writer(table, lineterminator='\n')
    writer.writerow(columns)
    for row in rows:
        writer.writerow(['' if _is_nan(value) else value for value in row])
    return table.getvalue().encode('utf-8', 'backslashreplace')


def _in_words(entry: Any) -> str:
    """Formats an entry of a report on one line; of a list the length, '' if it is empty."""
    if isinstance(entry, dict):
        facts = [f'{key} {_in_words(value)}' for key, value in entry.items() if value is not None]
        return ', '.join(facts)
    if isinstance(entry, list):
        return str(len(entry) or '')
    return str(entry)


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _without_nan(content: Any) -> Any:
    if isinstance(content, dict):
        return {name: _without_nan(value) for name, value in content.items()}
    return None if _is_nan(content) else content


def _format_json(report: EvaluationReport, about: Mapping[str, Any]) -> bytes:
    return to_json(
        {
            **about,
            'count': len(report.errors),
            'skipped': report.skipped,
            'protocol': report.options.to_dict(),
            'counts': report.counts,
            'means': report.means,
            'medians': report.medians,
            'photos': report.errors,
        }
    )


def _format_csv(report: EvaluationReport) -> bytes:
    rows = ([name, *row.values()] for name, row in report.errors.items())
    return to_csv(['name', *report.options.columns], rows)


def _format_caption(report: EvaluationReport, rank: int, name: str) -> list[str]:
    """Formats the photo's rank and name, and a line of figures for each region."""
    lines = [f'{rank}. {name}']
    for region in report.options.regions:
        figures = [
            f'{metric} {format_figure(metric, report.errors[name][column])}'
            for column, (of, metric) in report.options.columns.items()
            if of == region
        ]
        lines.append(f'{_TITLES[region]}:  ' + '   '.join(figures))
    return lines
