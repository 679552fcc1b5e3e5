"""The sets of photos that networks are compared on, and their errors as columns of a table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mattingjax.evaluation.comparison import EvaluationReport
from mattingjax.evaluation.options import EvaluationOptions
from mattingjax.evaluation.run import Folders

# Figure of a report → its title in the table, and the factor of its values there.
FIGURES = {
    'mad': ('MAD', 1e2),
    'mad_soft': ('MAD, soft band', 1e2),
    'mse': ('MSE', 1e2),
    'mean_gradient': ('mean gradient', 1e3),
}
_UNITS = {1e2: 'hundredths', 1e3: 'thousandths'}
OPTIONS = EvaluationOptions(metrics=('mad', 'mse', 'mean_gradient'), regions=('whole', 'soft'))

Column = tuple[str, str]  # name of a set, and of a figure


def name_sets(
    images: str | None = None,
    alphas: str | None = None,
    foregrounds: str | None = None,
    backgrounds: str | None = None,
    alpha_values: str = 'auto',
) -> dict[str, Folders]:
    """The sets that the flags of a benchmark name.

    Args:
      images: Folder of photos; with `alphas` the set 'photos'.
      alphas: Folder of their alphas.
      foregrounds: Folder of cut-outs; with `backgrounds` the set 'composites'.
      backgrounds: Folder of what is put behind them.
      alpha_values: What the numbers in alphas mean, as `Folders` takes it.

    Raises:
      MattingError: One of two folders is missing.
    """
    named = {
        'composites': {'foregrounds': foregrounds, 'backgrounds': backgrounds},
        'photos': {'images': images, 'alphas': alphas},
    }
    sets = {}
    for name, given in named.items():
        if any(given.values()):
            paths: dict[str, Any] = {key: Path(path) for key, path in given.items() if path}
            sets[name] = Folders(**paths, alpha_values=alpha_values)
    return sets


def mean_errors(report: EvaluationReport) -> dict[str, float]:
    """Name of each of `FIGURES` → its mean; without that of a band that no alpha has."""
    return {name: mean for name in FIGURES if not math.isnan(mean := report.means[name])}


def list_columns(rows: Iterable[Mapping[str, Any]], sets: Iterable[str]) -> list[Column]:
    """The columns of errors that rows have.

    Args:
      rows: Each may have, for each set, a dictionary of errors as `mean_errors` returns it.
      sets: The names of the sets.
    """
    rows = list(rows)
    return [
        (key, figure)
        for key in sets
        for figure in FIGURES
        if any(figure in row.get(key, {}) for row in rows)
    ]


def label_axis(column: Column) -> str:
    """What the axis of a column is called: 'photos: MAD in hundredths'."""
    key, figure = column
    title, factor = FIGURES[figure]
    return f'{key}: {title} in {_UNITS[factor]}'


def title_columns(columns: Iterable[Column]) -> list[str]:
    """What columns are called: 'photos: MAD'."""
    return [f'{key}: {FIGURES[figure][0]}' for key, figure in columns]


def format_errors(
    row: Mapping[str, Any], columns: Iterable[Column], *, decimals: int = 2
) -> list[str]:
    """The cells of a row, in hundredths and for the gradient in thousandths; dashes for no error.

    Args:
      row: It may have, for each set, a dictionary of errors as `mean_errors` returns it.
      columns: The columns.
      decimals: The number of decimals.
    """
    errors = [(FIGURES[figure][1], row.get(key, {}).get(figure)) for key, figure in columns]
    return ['–' if error is None else f'{factor * error:.{decimals}f}' for factor, error in errors]


def to_markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Formats a table as Markdown."""
    return '\n'.join(f'| {" | ".join(cells)} |' for cells in [titles, ['---'] * len(titles), *rows])
