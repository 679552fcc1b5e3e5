from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from mattingjax.errors import MattingError
from mattingjax.inference.video.backgrounds import opened_scene
from tests.inference.video.clips import HEIGHT, WIDTH, Clip, index_of

pytest.importorskip('av')
PHOTO = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
ALPHA = np.zeros((HEIGHT, WIDTH), np.float32)


def shown(scene, times):
    backdrops = [scene.at(Fraction(time)) for time in times]
    return [None if one is None else index_of(one(PHOTO, ALPHA)) for one in backdrops]


def test_colours_and_pictures(tmp_path):
    Image.new('RGB', (30, 30), 'red').save(tmp_path / 'red.png')
    for background in ('red', tmp_path / 'red.png', str(tmp_path / 'red.png')):
        with opened_scene(background) as scene:
            assert not scene.moves
            assert (scene.at(Fraction(0))(PHOTO, ALPHA) == [255, 0, 0]).all()


@pytest.mark.parametrize('background', ['blur', 'blur:3'])
def test_the_own_background_blurred(background):
    photo = PHOTO.copy()
    photo[:, ::2] = 110
    with opened_scene(background) as scene:
        behind = scene.at(Fraction(0))(photo, ALPHA)
    assert behind.shape == photo.shape
    assert abs(behind[:, 8:-8].astype(int) - 100).max() <= (1 if background == 'blur:3' else 8)


def test_a_video_is_shown_at_its_times_and_begins_anew(tmp_path):
    path = tmp_path / 'clip.mkv'
    Clip(times=(5, 6, 8, 9), codec='ffv1', pixels='bgr0').write(path)  # 0.2 s to 0.4 s
    with opened_scene(path) as scene:
        assert scene.moves
        times = ['0', '0.03', '0.04', '0.08', '0.12', '0.159', '0.16', '0.3', '0.33']
        # It lasts five ticks of 0.04 s: 0, 1, 1, 2, 3.
        assert shown(scene, times) == [0, 0, 1, 1, 2, 2, 3, 1, 2]
    with opened_scene(path, loop=False) as scene:
        assert shown(scene, ['0.199', '0.2']) == [3, None]


def test_a_video_that_ended_long_ago_is_where_it_would_be(tmp_path):
    path = tmp_path / 'clip.mkv'
    Clip(times=range(4), codec='ffv1', pixels='bgr0').write(path)  # 0.16 s
    with opened_scene(str(path)) as scene:
        assert shown(scene, ['1.0']) == [1]  # six times, and 0.04 s


def test_a_video_covers_frames_of_another_shape(tmp_path):
    path = tmp_path / 'clip.mkv'
    Clip(times=range(2), codec='ffv1', pixels='bgr0').write(path)
    with opened_scene(path) as scene:
        backdrop = scene.at(Fraction(0))
        assert backdrop(np.zeros((50, 20, 3), np.uint8), np.zeros((50, 20))).shape == (50, 20, 3)


@pytest.mark.parametrize(
    ('background', 'message'),
    [
        ('octarine', 'octarine: neither a colour'),
        ('blur:', r'background: expected blur:PIXELS, more than 0 and at most 1000, got blur:'),
        ('blur:x', 'got blur:x'),
        ('blur:0', 'got blur:0'),
        ('blur:nan', 'got blur:nan'),
        ('blur:1e9', 'got blur:1e9'),
    ],
)
def test_what_is_no_background_is_told(background, message):
    with pytest.raises(MattingError, match=message), opened_scene(background):
        pass


def test_a_file_that_is_neither_picture_nor_video_is_told(tmp_path):
    (tmp_path / 'notes.txt').write_text('nothing to see')
    with (
        pytest.raises(MattingError, match=r'background: .*notes.txt: not a video that FFmpeg'),
        opened_scene(tmp_path / 'notes.txt'),
    ):
        pass
