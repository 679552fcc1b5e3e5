"""Reports of the mattes of a video: a table, JSON, CSV, and a picture of one column over time."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mattingjax.errors import MattingError
from mattingjax.evaluation.report import (
    check_report,
    describe_entries,
    format_figure,
    name_files,
    to_csv,
    to_json,
)
from mattingjax.evaluation.video import DEFINITIONS, VARIANTS, VideoReport, Videos, evaluate_video
from mattingjax.images import encode_png
from mattingjax.inference import create_predictor
from mattingjax.process.files import write_files

PICTURE = 'column'  # what the name of the picture ends with


def format_video_table(report: VideoReport) -> str:
    """Formats the figures of a video: a row for each variant of its mattes."""
    names = list(next(iter(report.figures.values())))
    width = max(map(len, report.figures))
    lines = [' ' * width + ''.join(f'{name:>15}' for name in names)]
    for variant, figures in report.figures.items():
        cells = (format_figure(name, figures[name]) for name in names)
        lines.append(f'{variant:{width}}' + ''.join(f'{cell:>15}' for cell in cells))
    return '\n'.join(lines)


def write_video_report(path: Path, report: VideoReport, about: Mapping[str, Any]) -> list[Path]:
    """Writes a report as JSON, and beside it a row for each frame as CSV and the column as PNG.

    Args:
      path: The report, NAME.json; NAME.csv and NAME_column.png are written beside it.
      report: The figures of the video.
      about: What was evaluated, as JSON types; it is written before the figures.

    Returns:
      The files written.

    Raises:
      OutputError: A file cannot be written.
    """
    json_file, csv_file, picture_file = name_files(path, PICTURE)
    columns = {
        f'{variant} {name}': values
        for variant, figures in report.frames.items()
        for name, values in figures.items()
    }
    rows = zip(itertools.count(), report.times, *columns.values(), strict=False)
    content = {
        **about,
        'count': len(report.times),
        'damage': report.damage,
        'protocol': _protocol(report),
        'column': report.column,
        'figures': report.figures,
    }
    contents = {
        csv_file: to_csv(['frame', 'seconds', *columns], rows),
        picture_file: encode_png(report.picture),
        # Written last, so that a JSON file means a complete report.
        json_file: to_json(content),
    }
    write_files(contents)
    return list(contents)


def report_video(
    videos: Videos,
    *,
    network: str | None = None,
    runtime: str | None = None,
    precision: str = 'f32',
    input_size: int | None = None,
    column: int | None = None,
    output: Path | None = None,
    overwrite: bool = False,
    tell: Callable[[str], None] = print,
) -> None:
    """Evaluates the mattes of a video as `evaluate_video` does, and writes the report.

    Args:
      videos: The videos.
      network: A checkpoint, the name of weights that ship, or an artefact; None if
        `videos.predictions` has the mattes.
      runtime: The name of the runtime of `mattingjax.create_predictor`; None for its default.
      precision: What OpenVINO computes in, that of `mattingjax.create_predictor`.
      input_size: The input size of `mattingjax.create_predictor`; None for the network's own.
      column: The column of pixels that is drawn; None takes one at which alphas change much.
      output: The report to write, NAME.json; None writes nothing.
      overwrite: Whether a report that lies there is replaced.
      tell: Gets the texts for the user.

    Raises:
      MattingError: The report cannot be written there, or the network or a video is missing,
        damaged or does not fit.
    """
    if (network is None) == (videos.predictions is None):
        raise MattingError(
            'predictions: expected a network (checkpoint) or a video of mattes, one of the two'
        )
    if input_size is not None and network is None:
        raise MattingError('input_size: needs a network')
    if precision != 'f32' and network is None:
        raise MattingError('precision: needs a network')
    if output:
        check_report(output, 'output', overwrite=overwrite, picture=PICTURE)
    about: dict[str, Any] = {'data': {k: os.fspath(v) for k, v in vars(videos).items() if v}}
    predictor = None
    if network is not None:
        predictor = create_predictor(network, runtime, input_size=input_size, precision=precision)
        about = {'network': predictor.describe(), **about}
    report = evaluate_video(videos, predictor, column=column)
    lines = [
        *describe_entries(about),
        f'frames: {len(report.times)}' + (f' ({report.damage})' if report.damage else ''),
        *(f'{name}: {words}' for name, words in _protocol(report).items()),
    ]
    tell('\n'.join(lines) + f'\n\n{format_video_table(report)}')
    if output:
        tell('\n'.join(map(str, write_video_report(output, report, about))))


def _protocol(report: VideoReport) -> dict[str, str]:
    """What the figures and variants mean, in words."""
    names = next(iter(report.figures.values()))
    variants = {name: VARIANTS[name].describe() for name in report.figures if name in VARIANTS}
    return {'compared at': "the video's own size", **variants} | {
        name: DEFINITIONS[name] for name in names
    }
