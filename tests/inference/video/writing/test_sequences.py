import io
import os
import subprocess
import sys
from collections import deque
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from mattingjax.errors import OutputError
from mattingjax.inference.video.frames import Moment, SoundTrack
from mattingjax.inference.video.writing import check_output, create_writer
from tests.inference.video.writing.readback import a_format, cutouts, write

TIMES = [Fraction(0), Fraction(1001, 30000), Fraction(2002, 30000), Fraction(7, 3)]
MOMENTS = [Moment(time, None) for time in TIMES]


def pictures(kind):
    taken = {'alpha': (..., 3), 'cutout': ..., 'composite': (..., slice(3))}[kind]
    return [np.ascontiguousarray(one[taken]) for one in cutouts(4)]


@pytest.mark.parametrize('kind', ['alpha', 'cutout', 'composite'])
@pytest.mark.parametrize('name', ['new/frames', 'frames.png/', 'there'])
def test_a_folder_of_pictures(tmp_path, kind, name):
    (tmp_path / 'there').mkdir()
    notes = write(f'{tmp_path}/{name}', kind, pictures(kind), MOMENTS)
    assert notes == []
    folder = tmp_path / name
    assert sorted(os.listdir(folder)) == [
        '000000.png', '000001.png', '000002.png', '000003.png', 'timestamps.txt'
    ]  # fmt: skip
    for number, picture in enumerate(pictures(kind)):
        with Image.open(folder / f'{number:06}.png') as image:
            np.testing.assert_array_equal(np.asarray(image), picture)
    assert (folder / 'timestamps.txt').read_text() == (
        '# timestamp format v2\n0\n33.366667\n66.733333\n2333.333333\n'
    )


def test_a_picture_that_is_shown_several_times_is_written_as_often(tmp_path):
    folder = tmp_path / 'frames'
    with create_writer(folder, 'alpha', a_format()) as writer:
        writer.write(pictures('alpha')[0], tuple(MOMENTS))
        writer.finish()
    contents = {one.read_bytes() for one in folder.glob('*.png')}
    assert len(contents) == 1
    assert len(list(folder.glob('*.png'))) == 4


def test_sound_is_left_out_and_forgotten(tmp_path, monkeypatch):
    track = SoundTrack(None, deque([1, 2, 3]))
    assert write(
        tmp_path / 'frames', 'alpha', pictures('alpha'), MOMENTS, a_format(sound=(track,))
    ) == ['sound: a folder of pictures holds none']
    assert not track.packets
    track.packets.append(1)
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(io.BytesIO()))
    format = a_format(sound=(track,))
    assert write('-', 'alpha', pictures('alpha'), MOMENTS, format)[1:] == [
        'sound: raw frames hold none'
    ]
    assert not track.packets


def test_a_folder_that_lies_there_is_never_replaced(tmp_path):
    folder = tmp_path / 'frames'
    write(folder, 'alpha', pictures('alpha'), MOMENTS)
    with pytest.raises(OutputError, match='frames: expected a new or an empty folder'):
        check_output(folder, 'alpha')


@pytest.mark.parametrize('kind', ['alpha', 'cutout', 'composite'])
def test_raw_frames(monkeypatch, kind):
    written = io.BytesIO()
    monkeypatch.setattr(sys, 'stdout', io.TextIOWrapper(written))
    format = a_format((48, 64), Fraction(30000, 1001))
    with create_writer('-', kind, format) as writer:
        for picture in pictures(kind):
            writer.write(picture[:, ::1], tuple(MOMENTS[:2]))
        writer.finish()
    expected = b''.join(one.tobytes() * 2 for one in pictures(kind))
    assert written.getvalue() == expected
    pixels = {'alpha': 'gray', 'cutout': 'rgba', 'composite': 'rgb24'}[kind]
    assert writer.notes == [f'standard output: rawvideo, {pixels}, 64x48, 30000/1001 frames/s']


def test_standard_output_that_nobody_reads_and_that_is_full():
    code = """
import sys
from mattingjax.errors import OutputError
from tests.inference.video.writing.readback import cutouts, write
try:
    write('-', 'cutout', cutouts(40))
except (OutputError, BrokenPipeError) as error:
    print(repr(error), file=sys.stderr)
    import os
    os._exit(0)
"""
    with open('/dev/full', 'wb') as full:
        process = subprocess.run(
            [sys.executable, '-c', code], stdout=full, stderr=subprocess.PIPE, text=True, check=True
        )
    assert process.stderr == (
        "OutputError('standard output: cannot be written (No space left on device)')\n"
    )
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, 'wb') as pipe:
        process = subprocess.run(
            [sys.executable, '-c', code], stdout=pipe, stderr=subprocess.PIPE, text=True, check=True
        )
    assert process.stderr == "BrokenPipeError(32, 'Broken pipe')\n"
