import json

import numpy as np
import pytest
from PIL import Image

from mattingjax.evaluation import Folders, weights
from mattingjax.evaluation.trade_off import PARAMETERS, TIME, draw_trade_off
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


@pytest.fixture
def photos(tmp_path):
    """Noise, which is its own alpha."""
    pixels = np.random.default_rng(0).integers(0, 256, (48, 40), dtype=np.uint8)
    (tmp_path / 'photos').mkdir()
    Image.fromarray(pixels).save(tmp_path / 'photos/a.png')
    return Folders(tmp_path / 'photos', tmp_path / 'photos')


@pytest.fixture
def drawn(monkeypatch):
    """What is drawn: a list that gets the points and their style."""
    given = []

    def draw(points, style):
        given.extend((points, style))
        return draw_trade_off(points, style)

    monkeypatch.setattr(weights, 'draw_trade_off', draw)
    return given


def test_errors_are_drawn_against_times_and_parameters(
    mmnet_path, modnet_path, photos, tmp_path, drawn
):
    rows = compare_weights(
        {'large': str(mmnet_path), 'small': str(modnet_path)},
        {'photos': photos},
        tmp_path / 'out',
        Clock(large=[0.4, 0.2, 0.4], small=[0.1, 0.1, 0.2]),
        tell=lambda _: None,
    )
    assert [row['time_ratio'] for row in rows.values()] == [1, 0.25]
    points, style = drawn
    assert [point.name for point in points] == ['small', 'large']  # by their number of parameters
    assert (style.joined, style.first, style.first_seconds) == (True, 'large', 0.4)
    assert style.note.startswith('a stopwatch on ')
    gradient, mad = 'photos: mean gradient in thousandths', 'photos: MAD in hundredths'
    assert style.columns == 2
    assert style.panels == (
        (TIME, gradient), (PARAMETERS, gradient), (TIME, mad), (PARAMETERS, mad)
    )  # fmt: skip
    small, figures = points[0], rows['small']['photos']
    assert small.colour == 'modnet'
    assert small.errors == {gradient: 1e3 * figures['mean_gradient'], mad: 1e2 * figures['mad']}
    low, high = rows['small']['quartiles']
    assert small.costs == {
        TIME: (100, 1e3 * low, 1e3 * high),
        PARAMETERS: (rows['small']['parameters'],) * 3,
    }
    assert Image.open(tmp_path / 'out/weights.png').size == (1540, 1144)


def test_without_times_errors_are_drawn_against_parameters(mmnet_path, photos, tmp_path, drawn):
    sets = {'streets': photos, 'heads': photos, 'cats': photos}
    rows = compare_weights({'small': str(mmnet_path)}, sets, tmp_path / 'out', tell=lambda _: None)
    (point,), style = drawn
    assert style.panels == tuple(
        (PARAMETERS, f'{name}: {error}')
        for name in sets
        for error in ('mean gradient in thousandths', 'MAD in hundredths')
    )
    assert list(point.costs) == [PARAMETERS]
    assert point.costs[PARAMETERS][0] == rows['small']['parameters']
    assert point.errors['cats: MAD in hundredths'] == 1e2 * rows['small']['cats']['mad']
    assert style.note == ''
    assert Image.open(tmp_path / 'out/weights.png').size == (1540, 1716)


def test_without_sets_nothing_is_drawn(mmnet_path, tmp_path, drawn):
    compare_weights({'a': str(mmnet_path)}, {}, tmp_path, Clock(a=[0.1]), tell=lambda _: None)
    assert not drawn
    assert [file.name for file in tmp_path.iterdir()] == ['weights.json']


def test_what_cannot_be_timed_is_told_at_once(run_script, tmp_path):
    for given, message in (
        (['--runtime=abacus'], '--runtime: expected one of onnxruntime, openvino, litert, '),
        (['--runtime=onnxruntime', '--precision=bf16'], '--precision: onnxruntime computes in f32'),
        (['--precision=f8'], '--precision: expected one of f32, bf16, f16'),
    ):
        process = run_script('benchmark_weights', '--output', tmp_path / 'out', *given)
        assert_one_line_error(process, message)
    assert not (tmp_path / 'out').exists()
