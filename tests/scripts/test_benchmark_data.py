import re

import pytest

from tests.conftest import assert_one_line_error

SMALL = (
    '--count=4', '--size=32', '--side=48', '--batch_size=2', '--workers=0', '--rounds=1',
    '--seconds=0.1', '--transforms=evaluation',
)  # fmt: skip


def test_pipeline_and_device_are_timed_in_turn(run_script):
    two = ('--kind=synthetic', '--root=', '--kind=synthetic', '--root=')
    process = run_script('benchmark_data', *SMALL, *two)
    assert process.returncode == 0, process.stderr.decode()
    output = process.stdout.decode()
    assert '4 photos on the device: 0 MiB' in output
    row = r'^evaluation +(\d synthetic) +(\w+ \w+) +([\d.]+) +([\d.]+)$'
    rows = re.findall(row, output, re.M)
    assert [(dataset, name) for dataset, name, _, _ in rows] == [
        (dataset, name)
        for dataset in ('1 synthetic', '2 synthetic')
        for name in ('this process', 'the device')
    ]
    speeds = [float(speed) for _, _, speed, _ in rows]
    assert min(speeds) > 0
    for speed, (*_, ratio) in zip(speeds, rows, strict=True):
        assert float(ratio) == pytest.approx(speed / speeds[0], rel=0.05)


def test_a_network_that_does_not_exist_is_told_at_once(run_script):
    process = run_script('benchmark_data', *SMALL, '--network=nothing')
    assert_one_line_error(process, 'network: expected one of', "got 'nothing'")
