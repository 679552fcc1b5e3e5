"""Paths that cannot be what a flag wants, given to every flag that takes one: one line each."""

import os
import re

import numpy as np
import pytest
from PIL import Image

from mattingjax import save_checkpoint
from mattingjax.weights import find_artefact
from tests.forked import run_script
from tests.inference.video.clips import Clip

INPUTS = {  # script: what it needs, and those of its flags that name something to read
    'scripts/predict.py': (
        '--checkpoint=CKPT --input=photos/a.png --output=out',
        'checkpoint input background',
    ),
    'mattingjax video': (
        '--checkpoint=CKPT --input=clip.mp4 --output=out',
        'checkpoint input background',
    ),
    'scripts/label.py': (
        '--teacher=CKPT --images=photos --masks=alphas --output=out',
        'teacher images masks',
    ),
    'scripts/evaluate.py': (
        '--checkpoint=CKPT --images=photos --alphas=alphas --output=out.json',
        'checkpoint images alphas trimaps',
    ),
    'scripts/evaluate.py#cutouts': (
        '--checkpoint=CKPT --foregrounds=photos --backgrounds=photos --output=out.json',
        'foregrounds backgrounds',
    ),
    'mattingjax evaluate': (
        '--video=clip.mp4 --predictions=clip.mp4 --output=out.json',
        'video predictions alphas',
    ),
    'scripts/evaluate.py#predictions': ('--predictions=alphas --alphas=alphas', 'predictions'),
    'scripts/prune.py': ('--checkpoint=CKPT --ratio=0.5 --output=out', 'checkpoint recalibrate'),
    'scripts/prune.py#config': ('--checkpoint=CKPT --output=out', 'config prune_info'),
    'scripts/prune.py#taylor': (
        '--checkpoint=CKPT --ratio=0.5 --output=out --method=taylor --images=photos'
        ' --alphas=alphas',
        'images alphas',
    ),
    'scripts/widen.py': ('--checkpoint=CKPT --widths=init=12 --output=out', 'checkpoint'),
    'scripts/train.py': ('--config=configs/smoke.py --workdir=out', 'config'),
    'scripts/train.py#settings': (
        '--config=configs/mmnet.py --workdir=out --config.dataset.kind=rgba --config.steps=1'
        ' --config.dataset.root=photos --config.data.backgrounds=photos',
        'config.dataset.root config.data.backgrounds config.model.checkpoint config.validation.root'
        ' config.loss.teacher',
    ),
    'scripts/train.py#packed': (
        '--config=configs/mmnet.py --workdir=out --config.dataset.kind=packed'
        ' --config.dataset.root=photos --config.steps=1',
        'config.dataset.root',
    ),
    'scripts/import_weights.py': ('--source=photos/a.png --output=out', 'source prune_info'),
    'scripts/average.py': ('--checkpoints=CKPT,CKPT --output=out', 'checkpoints'),
    'scripts/pack_weights.py': (
        '--checkpoint=CKPT --card=card.md --images=photos --output=out',
        'checkpoint card images',
    ),
    'scripts/temperature.py': (
        '--checkpoint=CKPT --images=photos --alphas=alphas --temperatures=1',
        'checkpoint images alphas',
    ),
    'scripts/complexity.py': ('--checkpoint=CKPT', 'checkpoint'),
    'scripts/benchmark.py': ('--models=model.onnx', 'models'),
    'scripts/benchmark_data.py': (
        '--kind=folders --root=. --workers=0 --seconds=0.1 --rounds=1 --noon_device',
        'root backgrounds',
    ),
    'scripts/benchmark_video.py': (
        '--video=clip.mp4 --checkpoint=mmnet_0.5 --frames=10 --frame_size=48x32 --rounds=1'
        ' --cases=speed',
        'video checkpoint',
    ),
    'scripts/benchmark_foreground.py': (
        '--foregrounds=photos --backgrounds=photos --output=out --nopeer --megapixels=0.05'
        ' --rounds=1',
        'foregrounds backgrounds',
    ),
    'scripts/benchmark_refinement.py': (
        '--images=photos --alphas=alphas --output=out --checkpoint=mmnet_0.5',
        'images alphas checkpoint',
    ),
    'scripts/benchmark_encoding.py': (
        '--images=photos --rounds=1 --checkpoint=mmnet_0.5',
        'images checkpoint',
    ),
    'scripts/benchmark_web.py': ('--page=. --photo=photos/a.png --rounds=1', 'page photo'),
    'scripts/benchmark_pruning.py': (
        '--checkpoint=CKPT --output=out --images=photos --alphas=alphas --foregrounds=photos'
        ' --backgrounds=photos --train_images=photos --train_alphas=alphas',
        'checkpoint images alphas foregrounds backgrounds train_images train_alphas',
    ),
    'scripts/benchmark_weights.py': (
        '--networks=CKPT --output=out --images=photos --alphas=alphas --nolatency',
        'networks images alphas foregrounds backgrounds',
    ),
    'exporters.export': ('--checkpoint=CKPT --output=out', 'checkpoint photos'),
    'exporters.export#web': ('--checkpoint=CKPT --output=out --formats=web', 'onnxruntime_web'),
    'exporters.bins prepare': (
        '--artefact=model.onnx --images=photos --alphas=alphas --output=out',
        'artefact images alphas',
    ),
    'exporters.bins run': ('--model=model.onnx --input=photos --output=out', 'model input'),
    'exporters.bins evaluate': (
        '--output=photos --index=photos --timestamp=. --report=out.json',
        'output index timestamp',
    ),
    'scripts/benchmark.py#photos': (
        '--models=shipped.onnx --runtimes=onnxruntime --rounds=1 --images=photos --alphas=alphas',
        'images alphas',
    ),
    'scripts/benchmark.py#cutouts': (
        '--models=shipped.onnx --runtimes=onnxruntime --rounds=1 --foregrounds=photos'
        ' --backgrounds=photos',
        'foregrounds backgrounds',
    ),
    'mattingjax serve': ('--port=0 --checkpoint=CKPT', 'checkpoint networks'),
}
OUTPUTS = {  # script: what it needs, and its flags that name something to write
    'scripts/predict.py': (
        '--checkpoint=CKPT --input=photos/a.png --output=out',
        'output compilation_cache',
    ),
    'mattingjax video': ('--checkpoint=CKPT --input=clip.mp4', 'output compilation_cache'),
    'mattingjax evaluate': ('--video=clip.mp4 --predictions=clip.mp4', 'output'),
    'scripts/label.py': ('--teacher=CKPT --images=photos --masks=alphas', 'output'),
    'scripts/evaluate.py': ('--checkpoint=CKPT --images=photos --alphas=alphas', 'output'),
    'scripts/prune.py': ('--checkpoint=CKPT --ratio=0.5', 'output'),
    'scripts/widen.py': ('--checkpoint=CKPT --widths=init=12', 'output'),
    'scripts/train.py': ('--config=configs/smoke.py --config.steps=1', 'workdir'),
    'scripts/import_weights.py': ('--source=photos/a.png', 'output'),
    'scripts/average.py': ('--checkpoints=CKPT,CKPT', 'output'),
    'scripts/pack_weights.py': ('--checkpoint=CKPT --card=card.md', 'output'),
    'scripts/temperature.py': ('--checkpoint=CKPT --temperatures=1', 'output'),
    'scripts/draw_portraits.py': ('--count=1 --size=32', 'output'),
    'scripts/pack.py': ('--dataset=a=unlabelled:photos', 'output'),
    'scripts/benchmark_foreground.py': (
        '--foregrounds=photos --backgrounds=photos --nopeer --megapixels=0.05 --rounds=1',
        'output',
    ),
    'scripts/benchmark_refinement.py': (
        '--images=photos --alphas=alphas --checkpoint=mmnet_0.5',
        'output',
    ),
    'scripts/benchmark_pruning.py': (INPUTS['scripts/benchmark_pruning.py'][0], 'output'),
    'scripts/benchmark_weights.py': (INPUTS['scripts/benchmark_weights.py'][0], 'output'),
    'exporters.export': ('--checkpoint=CKPT', 'output'),
    'exporters.bins prepare': ('--height=32 --width=32 --images=photos --alphas=alphas', 'output'),
    'exporters.bins run': ('--model=model.onnx', 'output'),
    'exporters.bins evaluate': ('--output=photos --index=photos', 'report'),
    'scripts/benchmark.py': (INPUTS['scripts/benchmark.py#photos'][0], 'output'),
}
BAD_INPUTS = {
    'long': 'x' * 300,
    'long_below': 'x' * 300 + '/y.png',
    'nothing': 'nothing',
    'dangling': 'dangling',
    'loop': 'loop',
    'pipe': 'pipe',
    'empty_file': 'empty',
    'text': 'card.md',
    'empty_folder': 'empty_folder',
    'below_a_file': 'card.md/x',
    'bytes': os.fsdecode(b'\xff\xfe'),
    'control': 'a\x1b[31m\nb',
}
BAD_OUTPUTS = {
    'long': 'x' * 300,
    'long_below': 'x' * 300 + '/y.json',
    'loop': 'loop',
    'pipe': 'pipe',
    'file': 'card.md',
    'below_a_file': 'card.md/x.json',
    'full_folder': 'photos',
    'root': '/',
}


@pytest.fixture(scope='module')
def place(tmp_path_factory, mmnet):
    """A folder with a checkpoint, photos, alphas and what else a flag may name."""
    place = tmp_path_factory.mktemp('place')
    save_checkpoint(place / 'CKPT', mmnet)
    rng = np.random.default_rng(0)
    for folder, mode in (('photos', 'RGB'), ('alphas', 'L')):
        (place / folder).mkdir()
        for name in ('a', 'b'):
            pixels = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(place / folder / f'{name}.png')
    Clip(times=range(3)).write(place / 'clip.mp4')
    (place / 'card.md').write_text('# A card\n')
    (place / 'empty').touch()
    (place / 'empty_folder').mkdir()
    (place / 'configs').symlink_to(os.path.abspath('configs'))
    (place / 'shipped.onnx').symlink_to(find_artefact('mmnet_0.5'))
    (place / 'dangling').symlink_to('missing')
    (place / 'loop').symlink_to('loop')
    os.mkfifo(place / 'pipe')
    return place


def table(rows, values):
    """Every flag with a name that is too long, and with one of the other values, in turn."""
    cases = [
        (script, needed, flag) for script, (needed, names) in rows.items() for flag in names.split()
    ]
    first, *others = values
    return [
        pytest.param(*case, values[name], id=f'{case[0]}-{case[2]}-{name}')
        for i, case in enumerate(cases)
        for name in (first, others[i % len(others)])
        if (case[2], name) != ('card', 'empty_file')  # which is a model card of no words
    ]


def run(place, script, needed, flag, value):
    name, *verb = script.partition('#')[0].split()
    if name.endswith('.py'):
        name = os.path.abspath(name)
    arguments = [word for word in needed.split() if not word.startswith(f'--{flag}=')]
    before = sorted(place.rglob('*'))
    process = run_script(name, *verb, *arguments, f'--{flag}={value}', cwd=place, timeout=40)
    return process, sorted(set(place.rglob('*')) - set(before))


def check(process, made):
    said = process.stderr.decode()
    assert process.returncode == 2, said
    assert re.fullmatch(r'(warning: [^\n]*\n)*error: [^\n]*\n', said), said
    assert max(map(len, said.splitlines())) <= 300
    assert not made


@pytest.mark.parametrize(('script', 'needed', 'flag', 'value'), table(INPUTS, BAD_INPUTS))
def test_what_cannot_be_read(place, script, needed, flag, value):
    check(*run(place, script, needed, flag, value))


@pytest.mark.parametrize(('script', 'needed', 'flag', 'value'), table(OUTPUTS, BAD_OUTPUTS))
def test_what_cannot_be_written(place, script, needed, flag, value):
    check(*run(place, script, needed, flag, value))
