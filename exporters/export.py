"""Exports a checkpoint; `python -m exporters.export` is the command `mattingjax export`."""

from __future__ import annotations

from exporters.options import ExportOptions
from exporters.pipeline import export_checkpoint

__all__ = ['ExportOptions', 'export_checkpoint']

if __name__ == '__main__':
    from mattingjax.commands import export
    from mattingjax.process import command_line

    command_line.run(export)
