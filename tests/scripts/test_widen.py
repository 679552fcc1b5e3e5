import pytest

from mattingjax.checkpoints import load_checkpoint
from mattingjax.pruning import channel_groups
from tests.conftest import assert_one_line_error


@pytest.fixture
def widen(run_script, mmnet_path):
    return lambda *arguments: run_script('widen', '--checkpoint', mmnet_path, *arguments)


def test_tells_and_writes(widen, tmp_path):
    output = tmp_path / 'wide'
    process = widen('--output', output, '--widths=init=12,final=9')
    assert process.returncode == 0, process.stderr.decode()
    rows = {line.split()[0]: line.split()[1:3] for line in process.stdout.decode().splitlines()}
    assert rows['init'] == ['8', '12']
    assert sorted(path.name for path in output.iterdir()) == [
        'SHA256SUMS',
        'config.json',
        'variables',
        'widths.png',
    ]
    config = load_checkpoint(output).config
    assert {group.name: group.width for group in channel_groups(config)}['final'] == 9
    widened = config.provenance['widened']
    assert widened['widths']['init'] == [8, 12]
    assert len(widened['sha256']) == 64


@pytest.mark.parametrize(
    ('widths', 'message'),
    [
        ('inti=12', 'widths: inti: no channel group of mmnet'),
        ('init=7', 'widths: init: expected at least its 8 channels, got 7'),
        (
            'init',
            "expected GROUP=WIDTH, each group once and its width a whole number, got 'init'",
        ),
        ('init=99999999', 'expected a width of 1 to'),
    ],
)
def test_bad_widths_are_one_line(widen, tmp_path, widths, message):
    output = tmp_path / 'wide'
    assert_one_line_error(widen('--output', output, f'--widths={widths}'), message)
    assert not output.exists()
