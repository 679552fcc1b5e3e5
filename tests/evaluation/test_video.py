"""Figures of the mattes of a video."""

import csv
import json
import os

import numpy as np
import pytest

from mattingjax import create_predictor, load_image
from mattingjax.errors import MattingError, VideoError
from mattingjax.evaluation.columns import MAX_FRAMES, Columns
from mattingjax.evaluation.metrics.flicker import DEFINITION, Flicker
from mattingjax.evaluation.video import ALONE, VARIANTS, Videos, evaluate_video
from mattingjax.evaluation.video_report import (
    format_video_table,
    report_video,
    write_video_report,
)
from mattingjax.inference.steadying import Seen, steady
from tests.conftest import assert_one_line_error
from tests.inference.video.alpha_clips import RAMP, SIZE, write_clip

FLASH = 3  # the frame in which the network errs
COUNT = 7


class Network:
    """Sees a picture at its own size; its alpha is the red channel, but for a flash."""

    def __init__(self):
        self._count = 0

    def network_size(self, height, width):
        return height, width

    def run(self, pixels):
        alpha = pixels[..., 0] / 255
        if self._count == FLASH:
            alpha = np.where(np.arange(SIZE[1]) < 10, 1, alpha)
        self._count += 1
        return alpha.astype(np.float32)


@pytest.fixture
def clips(tmp_path):
    """A video that holds still, its true alphas, and others that do not fit."""
    photo = np.dstack([RAMP] * 3)
    write_clip(tmp_path / 'video.mkv', [photo] * COUNT, pixels='bgr0')
    write_clip(tmp_path / 'alphas.mkv', [RAMP] * COUNT)
    write_clip(tmp_path / 'short.mkv', [RAMP] * (COUNT - 1))
    write_clip(tmp_path / 'long.mkv', [RAMP] * (COUNT + 1))
    write_clip(tmp_path / 'small.mkv', [RAMP[:, 2:]] * COUNT)
    write_clip(tmp_path / 'slow.mkv', [RAMP] * COUNT, rate=24)
    flickering = [RAMP if i % 2 else RAMP // 2 for i in range(COUNT)]
    write_clip(tmp_path / 'flickering.mkv', flickering)
    return tmp_path


def test_variants_of_a_network(clips):
    videos = Videos(clips / 'video.mkv', clips / 'alphas.mkv')
    report = evaluate_video(videos, Network())
    assert report.times == pytest.approx([i / 25 for i in range(COUNT)])
    assert list(report.figures) == list(VARIANTS)
    flash = (1 - RAMP[:, :10] / 255).sum() / RAMP.size  # mean over the picture
    alone, delayed = report.figures[ALONE], report.figures['one-frame delay']
    assert alone['mad'] == pytest.approx(flash / COUNT, rel=1e-5)
    assert alone['mad_alone'] == 0
    assert alone['flicker'] == pytest.approx(2 * flash / (COUNT - 1), rel=1e-5)  # there and back
    assert delayed == pytest.approx(
        {'flicker': 0, 'mad_alone': alone['mad'], 'mad': 0, 'mse': 0}, abs=1e-7
    )
    assert report.frames[ALONE]['mad'][FLASH] == pytest.approx(flash, rel=1e-5)
    assert [i for i, mad in enumerate(report.frames[ALONE]['mad']) if mad > 1e-6] == [FLASH]
    assert np.isnan(report.frames[ALONE]['flicker'][0])
    assert report.damage is None
    assert 0 <= report.column < 10  # where the flash is


def test_variants_are_those_of_the_library(clips):
    report = evaluate_video(Videos(clips / 'video.mkv'), Network())
    network = Network()
    pixels = np.dstack([RAMP] * 3).astype(np.float32)
    seen = [(None, Seen(pixels, network.run(pixels))) for _ in range(COUNT)]
    for name, options in VARIANTS.items():
        flicker = Flicker()
        for _, alpha in steady(seen, options):
            flicker.add(pixels.astype(np.uint8), {'a': alpha})
        assert report.figures[name]['flicker'] == pytest.approx(flicker.values['a'], abs=1e-9)
    assert list(report.figures[ALONE]) == ['flicker', 'mad_alone']


def test_a_video_of_mattes(clips):
    videos = Videos(clips / 'video.mkv', clips / 'alphas.mkv', clips / 'flickering.mkv')
    figures = evaluate_video(videos).figures
    half = (RAMP / 255 - RAMP // 2 / 255).mean()
    assert figures == {
        'predictions': {
            'flicker': pytest.approx(half, rel=1e-5),
            'mad': pytest.approx(half * 4 / COUNT, rel=1e-5),
            'mse': pytest.approx(np.square(RAMP / 255 - RAMP // 2 / 255).mean() * 4 / COUNT),
        }
    }


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('short', r'short\.mkv: ends after 6 frames, but .*video\.mkv has more'),
        ('long', r'long\.mkv: goes on after 7 frames, all that .*video\.mkv has'),
        ('small', r'small\.mkv: expected 64x48 pixels as in .*video\.mkv, got 62x48'),
        ('slow', r'slow\.mkv: expected frame 1 at 0\.040 s as in .*video\.mkv, got 0\.04[12] s'),
    ],
)
def test_videos_that_do_not_fit(clips, name, message):
    other = clips / f'{name}.mkv'
    with pytest.raises(VideoError, match=message):
        evaluate_video(Videos(clips / 'video.mkv', other), Network())
    with pytest.raises(VideoError, match=message):
        evaluate_video(Videos(clips / 'video.mkv', predictions=other))


def test_files(clips):
    report = evaluate_video(Videos(clips / 'video.mkv', clips / 'alphas.mkv'), Network())
    path = clips / 'out' / 'report.json'
    written = write_video_report(path, report, {'data': {'video': 'v'}})
    assert [file.name for file in written] == ['report.csv', 'report_column.png', 'report.json']
    content = json.loads(path.read_text())
    assert content['data'] == {'video': 'v'}
    assert content['count'] == COUNT
    assert content['figures'] == report.figures
    assert content['protocol']['flicker'] == DEFINITION
    assert set(VARIANTS) < set(content['protocol'])
    assert 'numpy' in content['versions']
    with path.with_suffix('.csv').open(newline='') as file:
        rows = list(csv.DictReader(file))
    assert [row['frame'] for row in rows] == [str(i) for i in range(COUNT)]
    assert rows[0][f'{ALONE} flicker'] == ''
    assert float(rows[FLASH][f'{ALONE} mad']) == report.frames[ALONE]['mad'][FLASH]
    picture = load_image(path.with_name('report_column.png'))
    np.testing.assert_array_equal(picture, report.picture)


def test_a_table(clips):
    report = evaluate_video(Videos(clips / 'video.mkv'), Network())
    head, *lines = format_video_table(report).splitlines()
    assert head.split() == ['flicker', 'mad_alone']
    assert [line.rsplit(None, 2)[0].strip() for line in lines] == list(VARIANTS)
    assert lines[0].split()[-1] == '0.000000'


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({}, r'expected a network \(checkpoint\) or a video of mattes, one of the two'),
        ({'network': 'mmnet', 'predictions': 'short'}, 'one of the two'),
        ({'predictions': 'alphas', 'input_size': 320}, 'input_size: needs a network'),
        ({'predictions': 'alphas', 'column': 64}, 'column: expected 0 to 63, got 64'),
    ],
)
def test_impossible_requests(clips, arguments, message):
    predictions = arguments.pop('predictions', None)
    videos = Videos(
        clips / 'video.mkv', predictions=clips / f'{predictions}.mkv' if predictions else None
    )
    with pytest.raises(MattingError, match=message):
        report_video(videos, **arguments, tell=lambda text: None)


def test_columns_of_many_frames():
    columns = Columns()
    photo, alpha = np.zeros((*SIZE, 3), np.uint8), np.zeros(SIZE, np.float32)
    for i in range(MAX_FRAMES + 5):
        alpha[:, 40:43] = i % 2
        columns.add(photo + np.uint8(7), {'a': alpha.copy()})
    picture = columns.draw()
    assert columns.chosen == 41  # of 24 columns the one that changes
    assert MAX_FRAMES < picture.shape[1] < MAX_FRAMES + 50


def test_a_column_over_time():
    columns = Columns(5)
    for i in range(4):
        photo = np.full((*SIZE, 3), 10 * i, np.uint8)
        alpha = np.full(SIZE, i / 4, np.float32)
        columns.add(photo, {'first': alpha, 'second': 1 - alpha})
    picture = columns.draw()
    # In each row four grey bars, each a frame, 160 pixels wide.
    bars = {tuple(picture[y, 12 + 80 + 160 * i, 0] for i in range(4)) for y in range(len(picture))}
    assert {(0, 10, 20, 30), (0, 64, 128, 191), (255, 191, 128, 64)} <= bars


def test_the_command(clips, run_script):
    output = clips / 'out' / 'report.json'
    arguments = [
        '--video', clips / 'video.mkv', '--checkpoint=mmnet_0.5', '--alphas', clips / 'alphas.mkv',
        '--column=3', '--output', output,
    ]  # fmt: skip
    process = run_script('evaluate', *arguments)
    assert process.returncode == 0, process.stderr.decode()
    text = process.stdout.decode()
    for part in ('network: checkpoint', 'frames: 7', f'flicker: {DEFINITION}', *VARIANTS):
        assert part in text
    assert text.splitlines()[-1] == str(output)
    assert sorted(os.listdir(output.parent)) == ['report.csv', 'report.json', 'report_column.png']
    assert json.loads(output.read_text())['column'] == 3
    assert_one_line_error(run_script('evaluate', *arguments), 'report.json: a report lies there')


def test_the_one_frame_delay_on_a_real_clip(shared):
    videos = Videos(shared / 'data' / 'video' / 'carphone.mp4')
    figures = evaluate_video(videos, create_predictor('mmnet_0.5')).figures
    flicker = {name: values['flicker'] for name, values in figures.items()}
    assert flicker['one-frame delay'] < 0.6 * flicker[ALONE]
    assert flicker['one-frame delay'] < 0.75 * flicker["MODNet's own delay"]
    assert flicker['one-frame delay, filter'] < flicker['filter'] < 0.8 * flicker[ALONE]
    assert figures['one-frame delay']['mad_alone'] < 0.3e-2
    assert figures['one-frame delay, filter']['mad_alone'] < 0.3e-2


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['--video=v.mp4', '--images=photos'], '--images: is for photos, not for --video'),
        (['--video=v.mp4', '--trimaps=t'], '--trimaps: is for photos, not for --video'),
        (['--video=v.mp4', '--size=network'], '--size: is for photos, not for --video'),
        (['--column=3', '--checkpoint=mmnet'], '--column: needs --video'),
        (['--video=nosuch.mp4', '--checkpoint=mmnet_0.5'], 'nosuch.mp4: no such file'),
    ],
)
def test_flags_that_do_not_fit(run_script, arguments, message):
    assert_one_line_error(run_script('evaluate', *arguments), message)
