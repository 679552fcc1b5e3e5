"""The server as its clients see it."""

import io
import re
import signal
import subprocess
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
import skimage.data
from PIL import Image

import mattingjax
from mattingjax.images import encode_jpeg, encode_png
from tests.conftest import assert_one_line_error
from tests.servers import serving


@pytest.fixture(scope='module')
def server():
    with serving('--networks=mmnet_0.5', '--max_megapixels=2', '--max_clip_seconds=2') as running:
        yield running


@pytest.fixture(scope='module')
def client(server):
    with httpx.Client(base_url=server.url, timeout=60) as client:
        yield client


@pytest.fixture(scope='module')
def pixels():
    return skimage.data.astronaut()[:, 64:]


@pytest.fixture(scope='module')
def photo(pixels):
    return encode_png(pixels)


@pytest.fixture(scope='module')
def alpha(pixels):
    return mattingjax.create_predictor()(pixels)


def decode(answer: httpx.Response) -> np.ndarray:
    assert answer.status_code == 200, answer.text
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def as_bytes(values: np.ndarray) -> np.ndarray:
    return np.round(values * 255).astype(np.uint8)


def test_alpha_is_that_of_predict(client, photo, alpha):
    answer = client.post('matte', params={'kind': 'alpha'}, content=photo)
    assert answer.headers['content-type'] == 'image/png'
    np.testing.assert_array_equal(decode(answer), as_bytes(alpha))


def test_a_cutout_is_what_comes_where_nothing_is_asked_for(client, photo, pixels, alpha):
    found = decode(client.post('matte', content=photo))
    person = mattingjax.estimate_foreground(pixels, alpha)
    np.testing.assert_array_equal(found, mattingjax.cut_out(person, alpha))


def test_forms_have_the_photo_and_its_background(client, photo, pixels, alpha):
    beach = np.full((20, 30, 3), (10, 200, 30), np.uint8)
    files = {'image': photo, 'background': encode_png(beach)}
    found = decode(client.post('matte', files=files))
    person = mattingjax.estimate_foreground(pixels, alpha)
    np.testing.assert_array_equal(found, mattingjax.composite(person, alpha, beach))


@pytest.mark.parametrize('colour', ['rgb(10,200,30)', '0ac81e', '#0ac81e'])
def test_colours_make_composites(client, photo, pixels, alpha, colour):
    query = {'background': colour, 'foreground': 'false'}
    found = decode(client.post('matte', params=query, content=photo))
    np.testing.assert_array_equal(found, mattingjax.composite(pixels, alpha, '#0ac81e'))


def test_other_networks_and_finer_edges(client, photo, pixels):
    query = {'kind': 'alpha', 'network': 'mmnet_0.5', 'refine': 'true'}
    found = decode(client.post('matte', params=query, content=photo))
    wanted = mattingjax.create_predictor('mmnet_0.5')(pixels, refine=True)
    np.testing.assert_array_equal(found, as_bytes(wanted))


@pytest.mark.parametrize(
    ('query', 'media_type', 'format'),
    [
        ({'format': 'webp'}, 'image/webp', 'WEBP'),
        ({'format': 'jpg', 'background': 'white'}, 'image/jpeg', 'JPEG'),
    ],
)
def test_formats(client, photo, query, media_type, format):
    answer = client.post('matte', params=query, content=photo)
    assert answer.headers['content-type'] == media_type
    assert Image.open(io.BytesIO(answer.content)).format == format


def test_stages_are_told(client, photo):
    told = client.post('matte', content=photo).headers['server-timing']
    assert re.sub('[0-9.]+', 'N', told) == 'decode;dur=N, network;dur=N, finish;dur=N, encode;dur=N'


@pytest.mark.parametrize(
    ('query', 'said'),
    [
        ({'knid': 'alpha'}, 'knid: '),
        ({'kind': 'panel'}, "kind: input should be 'alpha', 'cutout' or 'composite', got 'panel'"),
        ({'background': '/etc/hostname'}, 'expected a colour'),
        ({'background': 'README.md'}, 'expected a colour'),
        ({'background': 'rgba(0,0,0,0.5)'}, 'expected a colour'),
        ({'background': '00000080'}, 'expected an opaque colour'),
        ({'background': 'white', 'kind': 'alpha'}, 'expected the kind composite, got alpha'),
        ({'kind': 'composite'}, 'background: a composite needs one'),
        ({'format': 'jpg'}, 'jpg'),
        ({'network': '../mmnet'}, "expected one of modnet_p, mmnet_0.5, got '../mmnet'"),
        ({'network': 'mmnet'}, "expected one of modnet_p, mmnet_0.5, got 'mmnet'"),
        ({'refine': 'perhaps'}, 'refine: '),
    ],
)
def test_wrong_queries_get_one_line(client, photo, query, said):
    answer = client.post('matte', params=query, content=photo)
    assert answer.status_code == 422
    assert said in answer.json()['detail']
    assert '\n' not in answer.json()['detail']


def bomb() -> bytes:
    """A PNG file of 60 kB that claims, and would have, 16,000 by 16,000 pixels."""
    rows = zlib.compress(bytes(16_000 // 8 + 1) * 16_000, 9)

    def chunk(name: bytes, content: bytes) -> bytes:
        check = zlib.crc32(name + content)
        return len(content).to_bytes(4, 'big') + name + content + check.to_bytes(4, 'big')

    size = (16_000).to_bytes(4, 'big') * 2
    parts = (b'IHDR', size + bytes([1, 0, 0, 0, 0])), (b'IDAT', rows), (b'IEND', b'')
    return b'\x89PNG\r\n\x1a\n' + b''.join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ('body', 'status', 'said'),
    [
        (b'', 400, 'expected a file as the body, got none'),
        (b'x', 415, 'image: not a picture in a known format'),
        (b'%PDF-1.7 and so on', 415, 'not a picture'),
        (encode_png(np.zeros((8, 8, 3), np.uint8)), 422, '16'),
        (encode_png(np.zeros((2000, 1001, 3), np.uint8)), 413, 'at most 2 megapixels'),
        (
            encode_jpeg(np.full((99, 99, 3), 7, np.uint8), 90, None, small=False)[:400],
            422,
            'image: ',
        ),
        (bomb(), 413, 'image: '),
    ],
    ids=['empty', 'one byte', 'no picture', 'tiny', 'large', 'cut', 'bomb'],
)
def test_bodies_that_are_no_photos(server, client, body, status, said):
    before = len(server.lines())
    answer = client.post('matte', content=body)
    assert answer.status_code == status, answer.text
    assert said in answer.json()['detail']
    (line,) = server.wait_for_lines(before)
    assert f'POST /matte {status} ' in line
    assert client.get('health').json() == {'status': 'ok', 'network': 'modnet_p'}


def test_compressed_bodies_are_refused(client):
    headers = {'Content-Encoding': 'gzip'}
    answer = client.post('matte', content=zlib.compress(bytes(99)), headers=headers)
    assert (answer.status_code, answer.json()['detail'][:16]) == (415, 'Content-Encoding')


@pytest.mark.parametrize(
    ('files', 'status', 'said'),
    [
        ({'photo': b'x'}, 422, 'expected the parts image and, if at all, background, got photo'),
        ([('image', b'x'), ('image', b'y')], 422, 'image: expected one file, got several'),
        ([('image', b'x')] * 3, 400, 'a damaged form'),
        ({'image': b'x', 'background': b'y'}, 415, 'background: not a picture'),
    ],
)
def test_wrong_forms(client, files, status, said):
    answer = client.post('matte', files=files)
    assert (answer.status_code, answer.json()['detail'][: len(said)]) == (status, said)


def test_forms_without_files(client):
    answer = client.post('matte', files={'image': (None, 'C:\\photo.jpg')})
    assert answer.json()['detail'].startswith('image: expected a file, got a field')
    part = b'--x\r\nContent-Disposition: form-data; name="image"\r\n\r\n\r\n--x--'
    for kind in ('multipart/form-data', 'multipart/form-data; boundary=x; charset=undefined'):
        answer = client.post('matte', content=part, headers={'Content-Type': kind})
        assert (answer.status_code, answer.json()['detail'][:14]) == (400, 'a damaged form')


def test_networks_are_listed(client):
    listed = client.get('networks').json()
    assert listed['default'] == 'modnet_p'
    assert [network['name'] for network in listed['networks']] == ['modnet_p', 'mmnet_0.5']
    assert listed['networks'][0]['parameters'] == 1_317_883
    assert listed['limits']['megapixels'] == 2


def test_prometheus_reads_what_was_counted(client, photo):
    def count(name: str) -> float:
        found = re.search(rf'^{re.escape(name)} (\S+)$', client.get('metrics').text, re.M)
        return float(found[1]) if found else 0.0

    names = (
        'mattingjax_requests_total{route="/matte",status="200"}',
        'mattingjax_pixels_total{network="modnet_p"}',
        'mattingjax_stage_seconds_count{stage="network"}',
    )
    before = [count(name) for name in names]
    assert client.post('matte', content=photo).status_code == 200
    after = [count(name) for name in names]
    assert np.subtract(after, before).tolist() == [1, 512 * 448, 1]
    assert count('mattingjax_working') == count('mattingjax_waiting') == 0
    assert count('process_resident_memory_bytes') > 1e7


def test_the_documents_of_openapi(client):
    paths = client.get('openapi.json').json()['paths']
    assert {'/matte', '/video', '/networks', '/health', '/metrics'} <= set(paths)
    page = client.get('docs').text
    assert 'https://' not in page
    for address in re.findall(r'(?:src|href)="([^"]+)"', page):
        assert client.get(address).status_code == 200


@pytest.mark.parametrize('path', ['nothing', '../pyproject.toml', '%2e%2e/app.py', 'matte/x'])
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404


@pytest.mark.parametrize('path', ['matte', 'video'])
@pytest.mark.parametrize('method', ['GET', 'PUT', 'OPTIONS', 'HEAD'])
def test_other_methods_are_refused(client, method, path):
    answer = client.request(method, path)
    assert (answer.status_code, answer.headers['allow']) == (405, 'POST')


def test_browsers_ask_for_the_page_anew(client):
    answer = client.get('page.js')
    assert answer.headers['cache-control'] == 'no-cache'
    assert answer.headers['content-type'].startswith('text/javascript')
    again = client.get('page.js', headers={'If-None-Match': answer.headers['etag']})
    assert again.status_code == 304


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
        ({'format': 'mp4'}, b'x', 422, 'format: mp4 holds no cut-outs'),
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


def test_requests_in_progress_are_answered_at_the_end(photo):
    with serving('--networks=') as server, ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(httpx.post, f'{server.url}matte', content=photo, timeout=60)
            for _ in range(4)
        ]
        deadline = time.monotonic() + 30
        while not re.search(
            r'^mattingjax_working [12]', httpx.get(f'{server.url}metrics').text, re.M
        ):
            assert time.monotonic() < deadline
        assert server.stop() == 0
        assert [answer.result().status_code for answer in answers] == [200] * 4
        assert server.lines()[-1] == 'stopped'


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it(number):
    with serving('--networks=') as server:
        assert server.stop(number) == 0


def test_a_second_signal_ends_it_at_once():
    with serving('--networks=') as server, server.connect() as client:
        client.sendall(b'POST /matte HTTP/1.1\r\nHost: here\r\nContent-Length: 9\r\n\r\n12')
        client.settimeout(0.5)
        with pytest.raises(TimeoutError):  # it waits for the rest
            client.recv(1)
        earlier = len(server.lines())
        server.process.send_signal(signal.SIGTERM)
        assert server.wait_for_lines(earlier)[0].startswith('stopping: requests in progress')
        start = time.monotonic()
        assert server.stop() == 128 + signal.SIGTERM
        assert time.monotonic() - start < 5  # of the ten seconds that the client has


def run(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'mattingjax', 'serve', *flags]
    return subprocess.run(command, capture_output=True, timeout=60)


def test_a_port_that_is_taken(server):
    port = server.url.rstrip('/').rpartition(':')[2]
    assert_one_line_error(run(f'--port={port}'), '--host, --port', port, 'in use')


@pytest.mark.parametrize(
    ('flag', 'said'),
    [
        ('--port=70000', '--port: expected 0 to 65535, got 70000'),
        ('--host=no.such.host.invalid', '--host'),
        ('--workers=0', '--workers'),
        ('--max_megapixels=-1', '--max_megapixels'),
        ('--networks=nothing', 'nothing: not a checkpoint'),
        ('--networks=modnet_p,./modnet_p', '--networks'),
        ('--timeout=nan', '--timeout'),
    ],
)
def test_wrong_flags_get_one_line(flag, said):
    assert_one_line_error(run('--port=0', flag), said)
