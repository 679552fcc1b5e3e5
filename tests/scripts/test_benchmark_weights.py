import json

import numpy as np
import pytest
from PIL import Image

from mattingjax.evaluation import Folders, weights
from mattingjax.evaluation.trade_off import draw_trade_off
from mattingjax.evaluation.weights import compare_weights
from tests.conftest import assert_one_line_error


@pytest.mark.parametrize('networks', ['/a/path', 'a=x,a=y', '../a=x'])
def test_names_are_not_paths(run_script, tmp_path, networks):
    process = run_script('benchmark_weights', '--output', tmp_path / 'out', '--networks', networks)
    assert_one_line_error(process, '--networks: expected names of letters', 'NAME=CHECKPOINT')
    assert not (tmp_path / 'out').exists()


def test_a_flag_tells_what_alphas_mean(run_script, tmp_path):
    for folder in ('photos', 'masks'):
        (tmp_path / folder).mkdir()
        Image.new('L', (40, 40), 15).save(tmp_path / folder / 'a.png')
    process = run_script(
        'benchmark_weights', '--output', tmp_path / 'out', '--networks=mmnet', '--nolatency',
        '--images', tmp_path / 'photos', '--alphas', tmp_path / 'masks', '--alpha_values=labels:7',
    )  # fmt: skip
    assert_one_line_error(
        process, 'masks: --alpha_values=labels:7: no such label in 1 of the files'
    )


def test_figures_are_written_before_they_are_told(mmnet_path, tmp_path):
    def tell(table):
        assert 'small' in table
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        compare_weights({'small': str(mmnet_path)}, {}, tmp_path, tell=tell)
    assert json.loads((tmp_path / 'weights.json').read_text())['small']['parameters'] > 0


def test_the_soft_band_has_a_column_where_alphas_are_soft(mmnet_path, tmp_path):
    grey, alphas = np.arange(48 * 40, dtype=np.uint8).reshape(48, 40), {}
    for name, alpha in (('soft', grey), ('masks', np.uint8(grey > 127) * 255)):
        for folder in ('photos', name):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(alpha).save(tmp_path / folder / 'a.png')
        alphas[name] = Folders(tmp_path / 'photos', tmp_path / name)
    tables: list[str] = []
    rows = compare_weights({'small': str(mmnet_path)}, alphas, tmp_path / 'out', tell=tables.append)
    figures = rows['small']['soft']
    assert list(figures) == ['mad', 'mad_soft', 'mse', 'mean_gradient']
    assert list(rows['small']['masks']) == ['mad', 'mse', 'mean_gradient']
    report = json.loads((tmp_path / 'out/small_soft.json').read_text())
    assert report['photos']['a']['mad_soft'] == figures['mad_soft']
    head, _, row = ([cell.strip() for cell in line.split('|')] for line in tables[0].splitlines())
    assert row[head.index('soft: MAD, soft band')] == f'{100 * figures["mad_soft"]:.2f}'
    assert 'masks: MAD, soft band' not in head


class Clock:
    """Times of networks that are known."""

    def __init__(self, **seconds):
        self._seconds = seconds

    def __str__(self):
        return 'a stopwatch'

    def __call__(self, configs):
        assert list(configs) == list(self._seconds)
        return self._seconds


def test_gradient_errors_are_drawn_against_times(mmnet_path, modnet_path, tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (48, 40), dtype=np.uint8)
    (tmp_path / 'photos').mkdir()
    Image.fromarray(pixels).save(tmp_path / 'photos/a.png')
    drawn = {}

    def draw(points, style):
        drawn.update({point.name: point for point in points}, style=style)
        return draw_trade_off(points, style)

    monkeypatch.setattr(weights, 'draw_trade_off', draw)
    rows = compare_weights(
        {'large': str(mmnet_path), 'small': str(modnet_path)},
        {'photos': Folders(tmp_path / 'photos', tmp_path / 'photos')},
        tmp_path / 'out',
        Clock(large=[0.4, 0.2, 0.4], small=[0.1, 0.1, 0.2]),
        tell=lambda _: None,
    )
    assert [row['time_ratio'] for row in rows.values()] == [1, 0.25]
    style, small = drawn['style'], drawn['small']
    assert list(drawn) == ['small', 'large', 'style']  # by their number of parameters
    assert (style.joined, style.first, style.first_seconds) == (True, 'large', 0.4)
    assert style.note.startswith('a stopwatch on ')
    assert (small.seconds, small.colour) == (0.1, 'modnet')
    (error,) = small.errors.values()
    assert error == 1e3 * rows['small']['photos']['mean_gradient']
    assert list(small.errors) == ['photos: mean gradient in thousandths']
    assert Image.open(tmp_path / 'out/weights.png').size == (770, 572)


def test_what_cannot_be_timed_is_told_at_once(run_script, tmp_path):
    for given, message in (
        (['--runtime=abacus'], '--runtime: expected one of onnxruntime, openvino, litert, '),
        (['--runtime=onnxruntime', '--precision=bf16'], '--precision: onnxruntime computes in f32'),
        (['--precision=f8'], '--precision: expected one of f32, bf16, f16'),
    ):
        process = run_script('benchmark_weights', '--output', tmp_path / 'out', *given)
        assert_one_line_error(process, message)
    assert not (tmp_path / 'out').exists()
