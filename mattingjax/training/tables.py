"""Figures by step in CSV files that survive a killed process."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mattingjax.files import write_file


class Table:
    """A CSV file that grows by a row for each step.

    Args:
      path: The file. Rows after `step` are dropped: a training that was killed had gone on beyond
        its last saved state.
      step: The last step that has happened.
      renamed: Columns of older files that have other names now.
    """

    def __init__(self, path: Path, step: int, renamed: Mapping[str, str] | None = None):
        self.path = path
        names = renamed or {}
        rows = [
            {names.get(name, name): value for name, value in row.items()}
            for row in read_table(path)
            if row['step'] <= step
        ]
        self._columns = list(rows[0]) if rows else []
        if path.exists():
            write_file(path, _format_rows(rows, self._columns).encode() if rows else b'')

    def add(self, values: Mapping[str, float]) -> None:
        """Appends a row; `step` is one of its columns."""
        header = not self._columns
        if header:
            self._columns = list(values)
        row = {name: values.get(name, '') for name in self._columns}
        with self.path.open('a', encoding='utf-8', newline='') as file:
            file.write(_format_rows([row], self._columns, header=header))


def read_table(path: Path) -> list[dict[str, float]]:
    """The rows of a `Table`; an incomplete last one, of a process that was killed, is left out."""
    if not path.is_file():
        return []
    text = path.read_text(encoding='utf-8')
    lines = csv.DictReader(io.StringIO(text[: text.rfind('\n') + 1]))
    return [{name: float(value or 'nan') for name, value in row.items()} for row in lines]


def _format_rows(rows: Sequence[Mapping[str, Any]], columns: list[str], header: bool = True) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator='\n')
    if header:
        writer.writeheader()
    for row in rows:
        # Nine digits hold a float32 to the bit.
        writer.writerow({k: f'{v:.9g}' if isinstance(v, float) else v for k, v in row.items()})
    return text.getvalue()
