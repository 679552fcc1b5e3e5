"""POST /matte as its clients see it."""

import io
import re
import zlib

import httpx
import numpy as np
import pytest
from PIL import Image

import mattingjax
from mattingjax.images import encode_jpeg, encode_png


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
    answer = client.post('matte', params={'format': 'jpg'}, files=files)
    assert (answer.status_code, answer.headers['content-type']) == (200, 'image/jpeg')


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
        ({'knid': 'alpha'}, 'refine, got knid (did you mean kind?)'),
        ({'kind': 'panel'}, "kind: expected 'alpha', 'cutout' or 'composite', got 'panel'"),
        ({'background': '/etc/hostname'}, 'expected a colour'),
        ({'background': 'README.md'}, 'expected a colour'),
        ({'background': 'rgba(0,0,0,0.5)'}, 'expected a colour'),
        ({'background': '00000080'}, 'expected an opaque colour'),
        ({'background': 'white', 'kind': 'alpha'}, 'expected the kind composite, got alpha'),
        ({'kind': 'composite'}, 'background: a composite needs one'),
        (
            {'format': 'jpg', 'kind': 'cutout'},
            'format: expected png or webp for the kind cutout, got jpg',
        ),
        ({'format': 'webp', 'kind': 'alpha'}, 'format: expected png for the kind alpha, got webp'),
        ({'format': 'jpg'}, 'format: expected png or webp for the kind cutout, got jpg'),
        ({'network': '../mmnet'}, "expected one of modnet_p, mmnet_0.5, got '../mmnet'"),
        ({'network': 'mmnet'}, "expected one of modnet_p, mmnet_0.5, got 'mmnet'"),
        ({'refine': 'perhaps'}, "refine: expected true or false, got 'perhaps'"),
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


def test_heic_is_read_or_refused_without_advice_for_strangers(client):
    header = b'\0\0\0\x18ftypheic\0\0\0\0mif1heic'
    answer = client.post('matte', content=header)
    assert answer.status_code in (415, 422)
    assert 'pip' not in answer.json()['detail']
