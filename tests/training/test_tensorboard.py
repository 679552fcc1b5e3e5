"""The files for TensorBoard, read by tensorboardX's own messages."""

import struct

import numpy as np
import pytest
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c

from mattingjax.errors import OutputError
from mattingjax.training.tensorboard import TensorBoard


def read_events(folder):
    """The events of the one file; checks the sums of its records."""
    (file,) = folder.iterdir()
    content, events = file.read_bytes(), []
    while content:
        length, sum_of_length = struct.unpack('<QI', content[:12])
        data, (sum_of_data,) = (
            content[12 : 12 + length],
            struct.unpack('<I', content[12 + length :][:4]),
        )
        assert sum_of_length == masked_crc32c(content[:8])
        assert sum_of_data == masked_crc32c(data)
        events.append(Event.FromString(data))
        content = content[16 + length :]
    return events


def test_everything_is_there_at_once(tmp_path):
    board = TensorBoard(tmp_path / 'a:b' / 'events', 7)
    board.add_numbers(8, {'train/loss': 0.5, 'train/lr': 0.25})
    board.add_picture(8, 'mattes', np.zeros((4, 6, 3), np.uint8))
    first, start, *events = read_events(tmp_path / 'a:b' / 'events')
    assert (first.step, first.file_version) == (7, 'brain.Event:2')
    assert (start.step, start.session_log.status) == (7, SessionLog.START)
    values = [event.summary.value[0] for event in events]
    assert [event.step for event in events] == [8, 8, 8]
    assert [value.tag for value in values] == ['train/loss', 'train/lr', 'mattes']
    assert [value.simple_value for value in values[:2]] == [0.5, 0.25]
    assert (values[2].image.height, values[2].image.width) == (4, 6)
    board.close()


def test_a_full_disk_is_told(tmp_path):
    board = TensorBoard(tmp_path / 'events', 0)
    board._file.close()
    board._file = open('/dev/full', 'ab')  # noqa: SIM115
    message = r'events: cannot be written \(No space left on device\)'
    with pytest.raises(OutputError, match=message):
        board.add_numbers(1, {'loss': 1.0})
    board.close()
