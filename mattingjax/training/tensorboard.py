"""What TensorBoard shows of a training, written at once."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mattingjax.process.files import output_errors


class TensorBoard:
    """A file of events, which grows with every call.

    tensorboardX's own writer has a thread. Once a full disk has ended it, calls wait forever.

    Args:
      folder: The folder of all files of events of a training; it is made if it does not exist.
      step: What other files there have of this step and later ones is not shown: a killed training
        had gone on beyond its latest saved state.

    Raises:
      OutputError: It cannot be written, as for the other methods.
    """

    def __init__(self, folder: Path, step: int):
        from tensorboardX.proto.event_pb2 import SessionLog

        self._folder = folder
        with output_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            name = f'events.out.tfevents.{int(time.time())}.{socket.gethostname()}'
            self._file = (folder / name).open('ab')
        self._write(step, file_version='brain.Event:2')
        self._write(step, session_log=SessionLog(status=SessionLog.START))

    def add_numbers(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds numbers by their tags."""
        from tensorboardX.summary import scalar

        for tag, number in numbers.items():
            self._write(step, summary=scalar(tag, number))

    def add_picture(self, step: int, tag: str, picture: np.ndarray) -> None:
        """Adds a picture, uint8 [H, W, 3]."""
        from tensorboardX.summary import image

        self._write(step, summary=image(tag, picture, dataformats='HWC'))

    def close(self) -> None:
        """Closes the file, in which everything is that could be written."""
        with contextlib.suppress(OSError):
            self._file.close()

    def _write(self, step: int, **content: Any) -> None:
        """Writes an event as a record of TensorFlow's: its length and itself, each with a sum."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.record_writer import masked_crc32c

        data = Event(wall_time=time.time(), step=step, **content).SerializeToString()
        length = struct.pack('<Q', len(data))
        sums = (struct.pack('<I', masked_crc32c(part)) for part in (length, data))
        with output_errors(self._folder):
            self._file.write(length + next(sums) + data + next(sums))
            self._file.flush()
