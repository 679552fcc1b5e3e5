"""The report of pruning, as a table, as a picture and as JSON types."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from mattingjax.networks import ModelConfig
from mattingjax.pruning.cost import Cost, cost_model
from mattingjax.pruning.groups import channel_groups

_BAR_HEIGHT, _LABEL_WIDTH, _BAR_WIDTH = 16, 330, 560
_BEFORE, _AFTER = (205, 212, 220), (33, 102, 172)


@dataclasses.dataclass(frozen=True)
class PruneReport:
    """What pruning changes.

    Attributes:
      network: The name of the network.
      input_size: The side of the image in pixels for which MACs are counted.
      widths: The width before and after, by name of the group.
      before, after: The cost of the network before and after.
    """

    network: str
    input_size: int
    widths: dict[str, tuple[int, int]] = dataclasses.field(hash=False)
    before: Cost
    after: Cost

    def to_dict(self) -> dict[str, Any]:
        """Returns widths and costs as JSON types."""
        return {
            'widths': {name: list(widths) for name, widths in self.widths.items()},
            'before': dataclasses.asdict(self.before),
            'after': dataclasses.asdict(self.after),
        }


def create_report(config: ModelConfig, widths: dict[str, int]) -> PruneReport:
    """Reports what it changes to give groups of a network other widths, by name of the group."""
    cost = cost_model(config)
    return PruneReport(
        config.network,
        config.input_size,
        {
            group.name: (group.width, widths.get(group.name, group.width))
            for group in channel_groups(config)
        },
        cost({}),
        cost(widths),
    )


def format_report(report: PruneReport) -> str:
    """Formats the report as a table for a terminal."""
    rows = [('channel group', 'before', 'after', 'kept')]
    rows += [
        (name, str(before), str(after), f'{after / before:.0%}')
        for name, (before, after) in report.widths.items()
    ]
    size = f'{report.input_size}x{report.input_size}'
    totals = []
    for label, field, unit, digits in (
        ('parameters', 'parameters', 1e6, 3),
        (f'G MACs at {size}, all heads', 'macs', 1e9, 3),
        ('G MACs of inference', 'inference_macs', 1e9, 3),
        ('MB of variables', 'megabytes', 1, 2),
    ):
        before, after = (getattr(cost, field) for cost in (report.before, report.after))
        label = f'M {label}' if unit == 1e6 else label
        texts = (f'{value / unit:.{digits}f}' for value in (before, after))
        totals.append((label, *texts, f'{after / before:.1%}'))
    columns = [max(len(row[i]) for row in rows + totals) for i in range(4)]
    lines = [
        '  '.join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, columns, strict=True))
        )
        for row in rows + totals
    ]
    rule = '-' * len(lines[0])
    return '\n'.join([lines[0], rule, *lines[1 : len(rows)], rule, *lines[len(rows) :]])


def draw_widths(report: PruneReport) -> np.ndarray:
    """Draws a bar for each group, grey for its width before and blue for its width after.

    A bar is as long as the square root of the width, so that 16 channels show beside 1280.

    Returns:
      The picture, uint8 [H, W, 3].
    """
    size = (_LABEL_WIDTH + _BAR_WIDTH + 110, _BAR_HEIGHT * (len(report.widths) + 1) + 8)
    picture = Image.new('RGB', size, 'white')
    draw = ImageDraw.Draw(picture)
    longest = max(before for before, _ in report.widths.values()) ** 0.5
    title = (
        f'{report.network}: {report.before.parameters:,} -> {report.after.parameters:,} '
        f'parameters, {report.before.macs / 1e9:.2f} -> {report.after.macs / 1e9:.2f} G MACs '
        '(bars: square root of widths)'
    )
    draw.text((8, 4), title, fill='black')
    for i, (name, (before, after)) in enumerate(report.widths.items(), start=1):
        top = i * _BAR_HEIGHT + 4
        draw.text((8, top), name, fill='black')
        for width, colour in ((before, _BEFORE), (after, _AFTER)):
            right = _LABEL_WIDTH + round(_BAR_WIDTH * width**0.5 / longest)
            draw.rectangle((_LABEL_WIDTH, top + 1, right, top + _BAR_HEIGHT - 4), fill=colour)
        right = _LABEL_WIDTH + round(_BAR_WIDTH * before**0.5 / longest)
        draw.text((right + 8, top), f'{before} -> {after}', fill='black')
    return np.asarray(picture)
