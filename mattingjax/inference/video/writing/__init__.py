"""Writes mattes: video files with their sound, folders of pictures, raw frames, a window."""

from mattingjax.inference.video.writing.containers import KINDS
from mattingjax.inference.video.writing.encoding import Format
from mattingjax.inference.video.writing.writers import Writer, check_output, create_writer

__all__ = ['KINDS', 'Format', 'Writer', 'check_output', 'create_writer']
