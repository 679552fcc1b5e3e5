"""POST /video as its clients see it."""

import contextlib
import shutil
import threading
import types
from pathlib import Path

import httpx
import numpy as np
import pytest
import skimage.data
from fastapi import HTTPException
from PIL import Image

import mattingjax
from mattingjax.images import encode_png
from mattingjax.inference.serving import clips
from mattingjax.inference.serving.clips import Clip, matte_clip
from mattingjax.inference.serving.limits import Limits
from mattingjax.weights import find_artefact
from tests.servers import serving
from tests.waiting import wait_until

FRAMES = [np.roll(skimage.data.astronaut()[:160, 140:300], 2 * i, 1) for i in range(4)]


@pytest.fixture(scope='module')
def clip(tmp_path_factory):
    """The bytes of a clip."""
    folder = tmp_path_factory.mktemp('clips')
    (folder / 'frames').mkdir()
    for i, frame in enumerate(FRAMES):
        Image.fromarray(frame).save(folder / 'frames' / f'{i}.png')
    mattingjax.matte_video(folder / 'frames', folder / 'clip.mp4', background='white')
    return (folder / 'clip.mp4').read_bytes()


def test_a_clip(client, clip):
    answer = client.post('video', content=clip)
    assert answer.headers['content-type'] == 'video/webm'
    assert answer.content[:4] == b'\x1a\x45\xdf\xa3'
    files = {'video': clip, 'background': encode_png(FRAMES[0])}
    answer = client.post('video', params={'network': 'mmnet_0.5'}, files=files)
    assert answer.headers['content-type'] == 'video/mp4'
    answer = client.post('video', params={'background': 'blur', 'format': 'webm'}, content=clip)
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


def test_servers_without_clips():
    with serving('--networks=', '--max_clip_seconds=0') as server:
        answer = httpx.post(f'{server.url}video', content=b'x')
        assert answer.status_code == 501
        assert answer.json()['detail'] == 'this server mattes no clips, only photos: POST /matte'


def test_the_longest_limit_is_understood(clip):
    with serving('--networks=', '--max_clip_seconds=1000000') as server:
        answer = httpx.post(f'{server.url}video', content=clip, timeout=60)
        assert (answer.status_code, answer.headers['content-type']) == (200, 'video/webm')


def test_faults_of_ours_are_told_by_the_log_alone(clip, tmp_path):
    model = tmp_path / 'secret.onnx'
    shutil.copy(find_artefact('mmnet_0.5'), model)
    with serving(f'--networks={model}') as server:
        model.unlink()
        earlier = len(server.lines())
        answer = httpx.post(f'{server.url}video?network=secret', content=clip, timeout=60)
        assert answer.status_code == 500
        assert answer.json() == {'detail': 'the server failed; its log says why'}
        assert 'secret.onnx' in server.wait_for_lines(earlier)[0]


def test_a_full_disk_is_told(clip, monkeypatch):
    """Before the process that mattes, and in it."""

    def matte():
        wanted = Clip(clip, 'cutout', None, 'webm', 'mmnet_0.5', ())
        with pytest.raises(HTTPException) as caught:
            matte_clip(wanted, Limits(), threading.Event())
        return caught.value.status_code, caught.value.detail

    @contextlib.contextmanager
    def running(_):
        said = 'error: result.webm: cannot be written (No space left on device)\n'
        yield types.SimpleNamespace(communicate=lambda timeout: (said, None), returncode=2)

    monkeypatch.setattr(clips, 'running', running)
    assert matte() == (507, 'the server has no room for clips')

    def fail(path, _):
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(Path, 'write_bytes', fail)
    assert matte() == (507, 'the server has no room for clips')


def test_a_clip_ends_when_its_client_leaves(clip):
    with serving('--networks=') as server:
        earlier = len(server.lines())
        others = server.children()  # Python's own
        with server.connect() as connection:
            head = f'POST /video HTTP/1.1\r\nHost: here\r\nContent-Length: {len(clip)}\r\n\r\n'
            connection.sendall(head.encode() + clip)
            wait_until(lambda: server.children() != others)
        assert 'POST /video 499 the client has left' in server.wait_for_lines(earlier)[0]
        wait_until(lambda: server.children() == others)
