"""POST /video as its clients see it."""

import numpy as np
import pytest
import skimage.data
from PIL import Image

import mattingjax
from mattingjax.images import encode_png


def test_a_clip(client, tmp_path):
    frames = [np.roll(skimage.data.astronaut()[:160, 140:300], 2 * i, 1) for i in range(4)]
    folder = tmp_path / 'frames'
    folder.mkdir()
    for i, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / f'{i}.png')
    clip = tmp_path / 'clip.mp4'
    mattingjax.matte_video(folder, clip, background='white')
    content = clip.read_bytes()
    answer = client.post('video', content=content)
    assert answer.headers['content-type'] == 'video/webm'
    assert answer.content[:4] == b'\x1a\x45\xdf\xa3'
    files = {'video': content, 'background': encode_png(frames[0])}
    answer = client.post('video', params={'network': 'mmnet_0.5'}, files=files)
    assert answer.headers['content-type'] == 'video/mp4'
    answer = client.post('video', params={'background': 'blur', 'format': 'webm'}, content=content)
    assert (answer.status_code, answer.headers['content-type']) == (200, 'video/webm')


@pytest.mark.parametrize(
    ('query', 'body', 'status', 'said'),
    [
        ({}, b'no video', 415, 'video: not a video that FFmpeg can read'),
        ({}, b'#EXTM3U\nfile:///etc/hostname\n', 415, 'video: '),
        ({'format': 'mp4'}, b'x', 422, 'format: expected webm for the kind cutout, got mp4'),
        ({'background': 'camera:0'}, b'x', 422, 'background: expected a colour'),
        ({'kind': 'composite'}, b'x', 422, 'background: a composite needs one'),
    ],
)
def test_wrong_clips(client, query, body, status, said):
    answer = client.post('video', params=query, content=body)
    assert (answer.status_code, answer.json()['detail'][: len(said)]) == (status, said)


def test_long_clips_are_refused(client, tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    for i in range(3):
        Image.fromarray(np.full((64, 64, 3), 9 * i, np.uint8)).save(folder / f'{i}.png')
    clip = tmp_path / 'clip.mp4'
    mattingjax.matte_video(folder, clip, background='white', fps=1)
    answer = client.post('video', content=clip.read_bytes())
    assert answer.status_code == 413
    assert answer.json()['detail'] == 'video: expected at most 2 seconds, got 3.0 seconds'


def test_large_clips_are_refused(client, tmp_path):
    folder = tmp_path / 'frames'
    folder.mkdir()
    Image.fromarray(np.zeros((1400, 1500, 3), np.uint8)).save(folder / '0.png')
    clip = tmp_path / 'clip.mp4'
    mattingjax.matte_video(folder, clip, background='white')
    answer = client.post('video', content=clip.read_bytes())
    assert answer.status_code == 413
    assert answer.json()['detail'] == 'video: expected at most 2 megapixels, got 1500x1400'
    files = {'video': clip.read_bytes(), 'background': b'x'}
    assert client.post('video', files=files).status_code == 413
