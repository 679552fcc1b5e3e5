"""Results are compared with the masks."""

import json
import os

import numpy as np
import pytest

from tests.conftest import assert_one_line_error
from tests.exporters.bins.photos import SIZE, evaluate, mean_mad


def test_the_newest_run_counts(prepared, outputs):
    for arguments, factor in (((), 0.9), (('--timestamp=20260101_235959_9',), 0.5)):
        report = prepared.parent / 'report.json'
        flags = ('--outdtype=float32', '--report', report)
        process = evaluate(prepared, outputs, *arguments, *flags)
        assert process.returncode == 0, process.stderr.decode()
        expected = mean_mad(prepared, lambda images: np.zeros((1, SIZE, SIZE, 1))) * (1 - factor)
        assert json.loads(report.read_text())['means']['mad'] == pytest.approx(expected, rel=1e-5)


NEWEST = '20260101_235959_10'
BREAKAGES = {
    'truncated output': (
        lambda root: os.truncate(root / 'outputs' / NEWEST / 'b_output_0.bin', 4000),
        ['b_output_0.bin: expected 2048 bytes (float16 of 1 channel) or 4096', 'found 4000'],
    ),
    'half an output': (
        lambda root: (root / 'outputs' / NEWEST / 'b_output_0.bin').write_bytes(bytes(2048)),
        ['b_output_0.bin: float16 of 1 channel by its size, but a_output_0.bin is float32'],
    ),
    'a missing output': (
        lambda root: (root / 'outputs' / NEWEST / 'b_output_0.bin').unlink(),
        ['expected 3 outputs', 'found 2; there is none for b'],
    ),
    'one output too many': (
        lambda root: (root / 'outputs' / NEWEST / 'a_output_1.bin').touch(),
        ['expected 3 outputs', 'found 4', 'a_output_1.bin'],
    ),
    'two outputs for one photo': (
        lambda root: (root / 'outputs' / NEWEST / 'a_output_0.txt').touch(),
        ['a_output_0.txt: expected it or a_output_0.bin, found both'],
    ),
    'no run': (
        lambda root: (root / 'outputs').rename(root / 'old') and (root / 'outputs').mkdir(),
        ['outputs: holds no folder named by a time'],
    ),
    'no outputs': (
        lambda root: (root / 'outputs').rename(root / 'old'),
        ['outputs: no such folder'],
    ),
    'a missing mask': (
        lambda root: (root / 'bins' / 'masks' / 'b.bin').unlink(),
        ['masks/b.bin: cannot be read (No such file or directory)'],
    ),
    'a damaged mask': (
        lambda root: (root / 'bins' / 'masks' / 'b.bin').write_bytes(bytes(4096)),
        ['masks/b.bin: not what the index.json', 'damaged'],
    ),
    'no index': (
        lambda root: (root / 'bins' / 'index.json').unlink(),
        ['bins: holds no index.json'],
    ),
    'a damaged index': (
        lambda root: os.truncate(root / 'bins' / 'index.json', 100),
        ['index.json: not a JSON file'],
    ),
}


@pytest.mark.parametrize('breakage', BREAKAGES)
def test_evaluate_refuses_in_one_line(prepared, outputs, breakage):
    harm, parts = BREAKAGES[breakage]
    harm(prepared.parent)
    report = prepared.parent / 'report.json'
    process = evaluate(prepared, outputs, '--channels=1', '--report', report)
    assert_one_line_error(process, *parts)
    assert not report.exists()


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--timestamp=yesterday'], 'outputs/yesterday: no such folder'),
        (['--report=report.txt'], '--report: expected a name that ends in .json'),
        (['--report=README.md/report.json'], 'README.md: expected a folder to write to'),
        (['--channels=3'], 'channels'),
        ([], '4096 bytes may be float32 of 1 channel or float16 of 2 channels'),
    ],
)
def test_evaluate_with_wrong_flags_is_one_line(prepared, outputs, arguments, message):
    assert_one_line_error(evaluate(prepared, outputs, *arguments), message)
