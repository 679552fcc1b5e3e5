import re

import pytest

from tests.conftest import assert_one_line_error

SMALL = (
    '--count=4', '--size=32', '--side=48', '--batch_size=2', '--workers=0', '--rounds=1',
    '--seconds=0.1', '--transforms=evaluation',
)  # fmt: skip


def test_pipeline_and_device_are_timed_in_turn(run_script):
    process = run_script('benchmark_data', *SMALL)
    assert process.returncode == 0, process.stderr.decode()
    output = process.stdout.decode()
    assert '4 photos on the device: 0 MiB' in output
    rows = re.findall(r'^evaluation +(\w+ \w+) +([\d.]+) +([\d.]+)$', output, re.M)
    assert [name for name, _, _ in rows] == ['this process', 'the device']
    speeds = [float(speed) for _, speed, _ in rows]
    assert min(speeds) > 0
    assert float(rows[1][2]) == pytest.approx(speeds[1] / speeds[0], rel=0.05)


def test_a_network_that_does_not_exist_is_told_at_once(run_script):
    process = run_script('benchmark_data', *SMALL, '--network=nothing')
    assert_one_line_error(process, 'network: expected one of', "got 'nothing'")
