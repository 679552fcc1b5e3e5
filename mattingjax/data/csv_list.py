"""Datasets that a CSV file lists."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path

from mattingjax.data.folders import FileDataset, list_some, open_entries
from mattingjax.data.records import PhotoFiles
from mattingjax.errors import MattingError
from mattingjax.files import read_file
from mattingjax.images import find_path, name_key


def open_csv(path: Path, alpha_values: str = 'auto') -> FileDataset:
    """Reads a list with a header line: columns `image` and, unless unlabelled, `alpha`.

    Paths are relative to the CSV file. Other columns are passed over. Records come in the order of
    the lines and bear the images' names.

    Args:
      path: A CSV file, comma-separated, UTF-8.
      alpha_values: What the alphas' numbers mean; see
        `mattingjax.data.alpha_values.parse_alpha_values`.

    Raises:
      MattingError: The file cannot be read, has no column `image` or no line, a line lacks a value,
        files are missing, or the alphas' numbers do not tell what they mean.
    """
    try:
        with io.StringIO(read_file(path).decode('utf-8-sig'), newline='') as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if 'image' not in columns:
                found = list_some(columns) or 'nothing'
                raise MattingError(f'{path}: expected columns image and alpha, found {found}')
            has_alpha = 'alpha' in columns
            entries = tuple(_read_line(row, reader, has_alpha, path) for row in reader)
    except OSError as error:
        raise MattingError(f'{path}: cannot be read ({error.strerror})') from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise MattingError(f'{path}: expected a CSV file in UTF-8 ({error})') from error
    if not entries:
        raise MattingError(f'{path}: lists no image')
    missing = [
        file for entry in entries for file in entry.files.values() if not os.path.isfile(file)
    ]
    if missing:
        raise MattingError(f'{path}: {len(missing)} files are missing ({list_some(missing)})')
    return open_entries(entries, alpha_values)


def _read_line(row: dict, reader: csv.DictReader, has_alpha: bool, path: Path) -> PhotoFiles:
    files = {}
    for column in ('image', 'alpha') if has_alpha else ('image',):
        if not row[column]:
            raise MattingError(f'{path}: line {reader.line_num} has no {column}')
        files[column] = find_path(path.parent / row[column])
    return PhotoFiles(name_key(files['image'].stem), files)
