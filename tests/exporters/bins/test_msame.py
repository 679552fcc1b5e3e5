"""An artefact is run on .bin files."""

import os

import numpy as np
import pytest

from exporters.bins.index import create_layout
from exporters.bins.msame import run_bins
from exporters.bins.outputs import find_outputs
from exporters.bins.preparation import prepare_bins
from mattingjax.errors import ArtefactError, MattingError, OutputError
from tests.conftest import assert_one_line_error
from tests.exporters.bins.photos import SIZE, bins, pair_photos


def test_names_leave_room_for_those_of_the_outputs(brightness, dataset, prepared):
    name = 'n' * (256 - len('_output_0.bin'))
    message = 'expected a name of at most 242 bytes, .* found 243'
    for file in ('photos/b.png', 'mattes/b.tif'):
        (dataset / file).rename((dataset / file).with_stem(name))
    samples = pair_photos(dataset / 'photos', dataset / 'mattes')
    with pytest.raises(OutputError, match=message):
        prepare_bins(samples, create_layout(height=SIZE, width=SIZE), dataset / 'others')
    (dataset / 'loose').mkdir()
    file = (prepared / 'images' / 'b.bin').rename(dataset / 'loose' / f'{name}.bin')
    with pytest.raises(OutputError, match=message):
        run_bins(brightness, file.parent, dataset / 'outputs')
    assert not (dataset / 'outputs').exists()
    file.rename(file.with_stem(name[1:]))
    folder = run_bins(brightness, file.parent, dataset / 'outputs').folder
    assert (folder / f'{name[1:]}_output_0.bin').is_file()


def test_zeros_and_a_single_file(brightness, prepared, capsys):
    folder = run_bins(brightness, None, prepared / 'zeros', loop=3).folder
    assert os.listdir(folder) == ['model_output_0.bin']  # named after the model, as msame does
    assert capsys.readouterr().out.count('Inference time: ') == 3
    assert not np.fromfile(folder / 'model_output_0.bin', np.float32).any()
    source = prepared / 'images' / 'a.bin'
    summary = run_bins(brightness, source, prepared / 'one')
    assert os.listdir(summary.folder) == ['model_output_0.bin']
    assert 'without first time' not in capsys.readouterr().out


def test_runs_of_one_second_have_folders_of_their_own(brightness, tmp_path, monkeypatch):
    monkeypatch.setattr('time.strftime', lambda _: '20260102_030405')
    folders = [run_bins(brightness, None, tmp_path).folder for _ in range(3)]
    assert [folder.name for folder in folders] == [
        '20260102_030405', '20260102_030405_1', '20260102_030405_2'
    ]  # fmt: skip
    assert find_outputs(tmp_path) == folders[2]
    assert sorted(os.listdir(tmp_path)) == [folder.name for folder in folders]


def test_an_unknown_format_is_refused(brightness, tmp_path):
    with pytest.raises(MattingError, match="outfmt: expected one of BIN, TXT, got 'CSV'"):
        run_bins(brightness, None, tmp_path / 'outputs', outfmt='CSV')
    assert not (tmp_path / 'outputs').exists()


def test_nothing_is_left_of_a_run_that_failed(brightness, prepared, monkeypatch):
    def fail(*_):
        raise RuntimeError('in node:\nno kernel')

    monkeypatch.setattr('onnxruntime.InferenceSession.run', fail)
    with pytest.raises(ArtefactError, match=r'model\.onnx: ONNX Runtime cannot run it .no kernel'):
        run_bins(brightness, prepared / 'images', prepared / 'outputs')
    assert os.listdir(prepared / 'outputs') == []


@pytest.mark.parametrize(
    ('harm', 'message'),
    [
        (lambda images: os.truncate(images / 'b.bin', 100), 'b.bin: expected 12288 bytes'),
        (
            lambda images: (images / 'b.bin').write_bytes(bytes(12288)),
            'b.bin: not what the index.json beside its folder tells of',
        ),
        (lambda images: (images / 'b.bin').rename(images / 'x.bin'), 'x.bin: the index.json'),
        (
            lambda images: [path.unlink() for path in images.iterdir()],
            'images: holds no .bin file',
        ),
    ],
    ids=['truncated', 'changed', 'unknown', 'none'],
)
def test_run_refuses_in_one_line(brightness, prepared, harm, message):
    harm(prepared / 'images')
    output = prepared.parent / 'outputs'
    process = bins('run', '--model', brightness, '--input', prepared / 'images', '--output', output)
    assert_one_line_error(process, message)
    assert process.stdout == b''
    assert not output.exists()


@pytest.mark.parametrize(
    ('values', 'message'),
    [
        (np.zeros((1, SIZE, SIZE, 1), np.int64), 'floating-point numbers, found int64'),
        (np.zeros((1, 0, SIZE, 1), np.float32), r'floating-point numbers, found float32 \[1, 0'),
        (np.full((1, SIZE, SIZE, 1), np.nan, np.float32), '1024 that are NaN or infinite'),
    ],
)
def test_run_refuses_outputs_that_are_no_numbers(
    brightness, tmp_path, monkeypatch, values, message
):
    monkeypatch.setattr('onnxruntime.InferenceSession.run', lambda *_: [values])
    with pytest.raises(ArtefactError, match=message):
        run_bins(brightness, None, tmp_path / 'outputs')
    assert os.listdir(tmp_path / 'outputs') == []


def test_run_refuses_what_is_no_number(brightness, tmp_path):
    values = np.zeros((1, SIZE, SIZE, 3), np.float32)
    values[0, 5, 5, 0] = np.nan
    (tmp_path / 'a.bin').write_bytes(values.tobytes())
    with pytest.raises(MattingError, match=r'a\.bin: holds values that are no finite numbers'):
        run_bins(brightness, tmp_path, tmp_path / 'outputs')
