"""What every command does when the disk is full, when it is killed, and when a file is damaged.

A limit on the size of files stands for a full disk. Signals come where a result is half-written;
trainings (`tests/training/test_interruption.py`), servers (`test_serve.py`) and bulk matting
(`test_bulk.py`) have tests of their own, as their first signal is a request.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mattingjax import commands
from mattingjax.commands import bins
from mattingjax.weights import ARTEFACT_FILE, MANIFEST_FILE, find_checkpoint
from tests import forked
from tests.conftest import ROOT, assert_one_line_error, require_export_tools
from tests.forked import EXPORTING, PRELOADED, run_forked
from tests.privileges import obeying_permissions
from tests.torch_files import as_state_dict, write_state_dict

MOST_BYTES = 2000  # of a file where the disk is full: a result of any kind has more
SIDE = 64
TERM = signal.SIGTERM


@pytest.fixture(scope='module')
def place(tmp_path_factory, modnet):
    """A folder with something of everything that commands read."""
    folder = tmp_path_factory.mktemp('place')
    for name in ('photos', 'alphas'):
        (folder / name).mkdir()
    rng = np.random.default_rng(0)
    for i in range(3):
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / 'photos' / f'{i}.png')
        Image.fromarray(pixels[..., 0]).save(folder / 'alphas' / f'{i}.png')
    write_state_dict(folder / 'weights.ckpt', as_state_dict(modnet))
    (folder / 'card.md').write_text('# A card\n')
    source = find_checkpoint('mmnet_0.5')
    shutil.copy(source / ARTEFACT_FILE, folder / 'model.onnx')
    result = execute(['mattingjax', *PREPARE, '--output', folder / 'bins'], folder)
    assert result.returncode == 0, result.stderr
    run = ['mattingjax', 'bins', 'run', '--model=model.onnx', '--input=bins/images']
    assert execute([*run, '--output', folder / 'outputs'], folder).returncode == 0
    return folder


@dataclasses.dataclass(frozen=True)
class Case:
    """A command line without its output, and how the name of that begins."""

    words: tuple[str, ...]
    output: str = 'out'
    flag: str = '--output'
    may_fill: bool = True  # whether it is tried on a full disk here
    is_slow: bool = False
    preload: tuple[str, ...] = PRELOADED


NETWORK = '--checkpoint=mmnet_0.5'
PAIRS = ('--images=photos', '--alphas=alphas')
VIDEO = ('mattingjax', 'video', 'photos', '--background=photos/0.png', NETWORK)
PREPARE = ('bins', 'prepare', *PAIRS, '--height=64', '--width=64')
# Orbax writes checkpoints: tests/checkpoints has full disks.
CHECKPOINT = {'may_fill': False}
CASES = {
    'predict': Case(('mattingjax', 'predict', 'photos/0.png', NETWORK)),
    'predict a folder': Case(('mattingjax', 'predict', 'photos', NETWORK)),
    'video': Case(VIDEO, 'out.webm'),
    'video of pictures': Case(VIDEO, 'out'),
    'evaluate': Case(('mattingjax', 'evaluate', NETWORK, *PAIRS), 'out.json'),
    'label': Case(('mattingjax', 'label', '--teacher=mmnet_0.5', '--images=photos')),
    'prune': Case(('mattingjax', 'prune', NETWORK, '--ratio=0.5'), **CHECKPOINT),
    'export': Case(
        ('mattingjax', 'export', NETWORK, '--formats=pb', '--noverify'),
        preload=EXPORTING, is_slow=True,
    ),
    'bins prepare': Case(('mattingjax', *PREPARE)),
    'bins run': Case(('mattingjax', 'bins', 'run', '--model=model.onnx', '--input=bins/images')),
    'bins evaluate': Case(
        ('mattingjax', 'bins', 'evaluate', '--output=outputs', '--index=bins',
         '--outdtype=float32'),
        'out.json', '--report',
    ),
    'import-weights': Case(
        ('mattingjax', 'import-weights', '--source=weights.ckpt'), **CHECKPOINT
    ),
    'scripts/widen.py': Case(('scripts/widen.py', NETWORK, '--widths=init=24'), **CHECKPOINT),
    'scripts/pack_weights.py': Case(
        ('scripts/pack_weights.py', NETWORK, '--card=card.md', '--noartefact'), **CHECKPOINT
    ),
    'scripts/average.py': Case(
        ('scripts/average.py', '--checkpoints=mmnet_0.5,mmnet_0.5'), **CHECKPOINT
    ),
    'scripts/temperature.py': Case(
        ('scripts/temperature.py', NETWORK, *PAIRS, '--temperatures=1,2'),
        is_slow=True, **CHECKPOINT,
    ),
    'scripts/draw_portraits.py': Case(
        ('scripts/draw_portraits.py', '--count=2', '--size=64', '--workers=1')
    ),
    'scripts/pack.py': Case(
        ('scripts/pack.py', '--dataset=a=folders:.', '--images=a=photos', '--alphas=a=alphas',
         '--licence=a=none')
    ),
    'scripts/benchmark.py': Case(
        ('scripts/benchmark.py', '--models=model.onnx', '--runtimes=onnxruntime', '--rounds=1',
         '--size=64x64', *PAIRS),
    ),
}  # fmt: skip
# They write nothing, or as their first signal is a request, have tests of their own.
ELSEWHERE = {'bulk', 'serve', 'train', 'complexity', 'list'}


def test_the_table_has_all_commands():
    names = {*commands.COMMANDS} - {'bins'} | {f'bins {name}' for name in bins.COMMANDS}
    assert names - ELSEWHERE <= {*CASES}


def execute(words, folder, prepare=None, preload=PRELOADED, stdout='.stdout'):
    """Runs a command in a folder, with `prepare` called in its process before."""
    script = str(ROOT / words[0]) if words[0].endswith('.py') else words[0]
    streams = [folder / name for name in ('.stdin', stdout, '.stderr')]
    for path in streams:
        path.write_bytes(b'')
    outcome = run_forked(
        _execute, prepare, script, [*map(str, words[1:])], str(folder), streams, preload=preload
    )
    assert not outcome.stopped, outcome.stopped
    said = [path.read_bytes() for path in streams[1:]]
    return subprocess.CompletedProcess(words, outcome.exit_code, *said)


def _execute(prepare, script, words, folder, streams):
    if prepare is not None:
        prepare[0](*prepare[1:])
    forked._run_script(script, words, folder, streams)


def limit_files(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


def raise_when_writing(number):
    """As soon as a file or folder is half-written, the process gets the signal."""
    from mattingjax.process import files, interrupts, scratch

    # Some wait here where others must not be disturbed, for whose end the signal would wait.
    interrupts._LONGEST_WRITE = 0.2
    make = interrupts.removed_afterwards

    @contextlib.contextmanager
    def make_and_raise(*arguments):
        with make(*arguments) as half:
            if half.is_dir():
                (half / 'half').write_bytes(b'half')
            os.kill(os.getpid(), number)
            time.sleep(30)
            yield half

    files.removed_afterwards = scratch.removed_afterwards = make_and_raise


def forbid_when_writing(place):
    """As soon as a file or folder is half-written there, its folder may not be written to."""
    from mattingjax.process import files, interrupts, scratch

    make = interrupts.removed_afterwards
    forbid_when_writing.permissions = obeying_permissions()  # until the process ends
    forbid_when_writing.permissions.__enter__()

    @contextlib.contextmanager
    def make_and_forbid(*arguments):
        with make(*arguments) as half:
            if place in half.parents:
                half.parent.chmod(0o500)
            yield half

    files.removed_afterwards = scratch.removed_afterwards = make_and_forbid


def seen(folder):
    """What a user sees, and what they do not."""
    return {path.relative_to(folder) for path in folder.rglob('*')}


def is_visible(path):
    return not any(part.startswith('.') for part in path.parts)


def require(case):
    if case.preload is EXPORTING:
        require_export_tools()


@pytest.mark.parametrize('name', [name for name, case in CASES.items() if case.may_fill])
def test_a_full_disk_is_one_line_and_leaves_nothing(place, tmp_path, name):
    case = CASES[name]
    require(case)
    output = tmp_path / case.output
    words = [*case.words, case.flag, output]
    # What it tells may have more.
    process = execute(words, place, (limit_files, MOST_BYTES), case.preload, '/dev/null')
    assert process.returncode == 2, process.stderr.decode()
    last = process.stderr.decode().splitlines()[-1]
    assert last.startswith(f'error: {tmp_path}/out'), process.stderr.decode()
    assert ': cannot be written (' in last
    assert last.endswith('File too large)')
    assert b'Traceback' not in process.stderr
    assert not [path for path in seen(tmp_path) if path != Path('out')]


@pytest.mark.parametrize(
    'name',
    [
        pytest.param(name, marks=[pytest.mark.slow] if case.is_slow else [])
        for name, case in CASES.items()
    ],
)
def test_permissions_that_are_taken_away_meanwhile_are_one_line(place, tmp_path, name):
    case = CASES[name]
    require(case)
    with obeying_permissions():  # or it is skipped
        pass
    output = tmp_path / 'place' / case.output
    output.parent.mkdir()
    words = [*case.words, case.flag, output]
    process = execute(words, place, (forbid_when_writing, tmp_path), case.preload)
    assert process.returncode == 2, process.stderr.decode()
    last = process.stderr.decode().splitlines()[-1]
    assert last.startswith(f'error: {tmp_path}/place/out'), process.stderr.decode()
    assert last.lower().endswith('(permission denied)')
    assert b'Traceback' not in process.stderr
    for folder in (tmp_path / 'place', tmp_path / 'place' / 'out'):
        if folder.is_dir():
            folder.chmod(0o700)
    left = [path for path in seen(tmp_path / 'place') if is_visible(path)]
    assert left in ([], [Path('out')])


@pytest.mark.parametrize(
    ('name', 'number'),
    [
        pytest.param(
            name, number, marks=[pytest.mark.slow] if case.is_slow or number != TERM else []
        )
        for name, case in CASES.items()
        for number in (TERM, signal.SIGINT, signal.SIGKILL)
    ],
)
def test_signals_leave_nothing_half_written(place, tmp_path, name, number):
    case = CASES[name]
    require(case)
    words = [*case.words, case.flag, tmp_path / case.output]
    process = execute(words, place, (raise_when_writing, number), case.preload)
    assert process.returncode == (-9 if number == signal.SIGKILL else 128 + number)
    assert b'Traceback' not in process.stderr
    left = {path for path in seen(tmp_path) if path != Path('out')}
    if number == signal.SIGKILL:
        left = {path for path in left if is_visible(path)}
    else:
        assert process.stderr.decode().splitlines()[-1] == 'stopped'
    assert not left


DAMAGED = {
    'predict': ['mattingjax', 'predict', 'photos', '--checkpoint'],
    'video': ['mattingjax', 'video', 'photos', '--output=out.webm', '--checkpoint'],
    'serve': ['mattingjax', 'serve', '--port=0', '--networks'],
    'evaluate': ['mattingjax', 'evaluate', *PAIRS, '--checkpoint'],
    'label': ['mattingjax', 'label', '--images=photos', '--output=out', '--teacher'],
    'bins prepare': ['mattingjax', *PREPARE, '--output=out', '--artefact'],
    'bins run': ['mattingjax', 'bins', 'run', '--input=bins/images', '--output=out', '--model'],
    'scripts/benchmark.py': ['scripts/benchmark.py', '--runtimes=onnxruntime', '--models'],
}


@pytest.mark.parametrize('name', DAMAGED)
def test_a_flipped_bit_in_an_artefact_is_told(place, tmp_path, name):
    content = bytearray((place / 'model.onnx').read_bytes())
    digest = hashlib.sha256(content).hexdigest()
    content[len(content) // 2] ^= 1
    path = tmp_path / 'damaged.onnx'
    path.write_bytes(content)
    manifest = {'artefacts': {path.name: {'sha256': digest}}}
    (tmp_path / MANIFEST_FILE).write_text(json.dumps(manifest))
    process = execute([*DAMAGED[name], path], place)
    assert_one_line_error(process, f'damaged.onnx: damaged: expected SHA-256 {digest[:12]}…')
    assert not (place / 'out').exists()
