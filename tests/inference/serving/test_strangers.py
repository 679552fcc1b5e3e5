"""Clients that are slow, leave, send too much or too many: the server answers the others."""

import contextlib
import io
import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import pytest
from PIL import Image

from mattingjax.images import encode_png
from mattingjax.inference.serving.connections import MAX_CONNECTIONS
from tests.servers import serving
from tests.waiting import wait_until

PATIENCE = 1.0
HEAD = b'POST /matte HTTP/1.1\r\nHost: here\r\n'


@pytest.fixture(scope='module')
def server():
    flags = f'--patience={PATIENCE}', '--max_megabytes=2', '--queue=2', '--workers=1'
    with serving('--networks=', '--input_size=64', *flags) as running:
        yield running


@pytest.fixture(scope='module')
def photo():
    noise = np.random.default_rng(0).integers(0, 256, (300, 200, 3), np.uint8)
    return encode_png(noise)


def read_all(connection: socket.socket) -> bytes:
    """What the server sends until it closes the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65536):
            parts.append(part)
    return b''.join(parts)


def assert_up(server):
    assert httpx.get(f'{server.url}health', timeout=60).status_code == 200


def test_a_body_that_is_too_large(server):
    before = len(server.lines())
    answer = httpx.post(f'{server.url}matte', content=bytes(200_000_000), timeout=60)
    assert answer.status_code == 413
    assert answer.json()['detail'] == 'expected a body of at most 2 MB, got 200000000 bytes'
    (line,) = server.wait_for_lines(before)
    assert 'POST /matte 413 ' in line
    assert_up(server)


def test_a_body_that_is_too_large_and_does_not_say_so(server):
    def parts():
        for _ in range(200):
            yield bytes(1_000_000)

    before = server.memory()
    answer = httpx.post(f'{server.url}matte', content=parts(), timeout=60)
    assert (answer.status_code, answer.json()['detail'][:30]) == (
        413, 'expected a body of at most 2 M'
    )  # fmt: skip
    assert server.memory() - before < 20e6
    assert_up(server)


def test_headers_that_never_end(server):
    with server.connect() as connection:
        start = time.monotonic()
        connection.sendall(HEAD)
        for _ in range(6):
            time.sleep(PATIENCE / 3)
            with contextlib.suppress(OSError):
                connection.sendall(b'X: y\r\n')
        assert read_all(connection) == b''
        assert time.monotonic() - start < 10 * PATIENCE
    assert_up(server)


def test_a_connection_that_says_nothing(server):
    with server.connect() as connection:
        assert read_all(connection) == b''
    assert_up(server)


def test_empty_lines_keep_no_connection_open(server):
    with server.connect() as connection:
        connection.sendall(b'GET /health HTTP/1.1\r\nHost: here\r\n\r\n')
        assert connection.recv(65536).startswith(b'HTTP/1.1 200 ')
        connection.sendall(b'\r\n')
        assert b'HTTP' not in read_all(connection)  # which ends


def test_trailers_that_never_end(server):
    before = server.memory()
    with server.connect() as connection, contextlib.suppress(OSError):
        connection.sendall(HEAD + b'Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: ')
        for _ in range(100):
            connection.sendall(bytes([120]) * 1_000_000)
        pytest.fail('the server took all of them')
    assert server.memory() - before < 20e6
    assert_up(server)


def test_requests_without_an_end_before_the_first_answer(server):
    before, memory = len(server.lines()), server.memory()
    with server.connect() as connection, contextlib.suppress(OSError):
        for _ in range(20):
            connection.sendall(10_000 * b'GET /health HTTP/1.1\r\n\r\n')
        pytest.fail('the server took all of them')
    assert 'at most 32 requests' in server.wait_for_lines(before)[0]
    assert server.memory() - memory < 60e6
    assert_up(server)


def test_a_body_may_come_slowly_behind_another_request(server):
    with server.connect() as connection:
        head = HEAD + b'Connection: close\r\nContent-Length: 200000\r\n\r\n'
        connection.sendall(b'GET /health HTTP/1.1\r\nHost: here\r\n\r\n' + head)
        for _ in range(10):
            time.sleep(PATIENCE / 6)
            connection.sendall(bytes(20_000))
        assert b'HTTP/1.1 415 ' in read_all(connection)


def test_headers_that_are_too_long(server):
    with server.connect() as connection:
        with contextlib.suppress(OSError):
            connection.sendall(HEAD + b'X: ' + bytes([120]) * 10_000_000)
        assert read_all(connection).startswith(b'HTTP/1.1 400 ')
    assert_up(server)


def test_what_is_no_http(server):
    before = len(server.lines())
    with server.connect() as connection:
        connection.sendall(b'\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello\r\n\r\n')
        assert read_all(connection).startswith(b'HTTP/1.1 400 ')
    (line,) = server.wait_for_lines(before)
    assert 'Invalid HTTP request' in line
    assert_up(server)


def test_bodies_that_come_slowly_keep_nobody_waiting(server, photo):
    before = len(server.lines())
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(20)]
        for connection in slow:
            connection.sendall(HEAD + b'Content-Length: 90000\r\n\r\n12')
        assert httpx.post(f'{server.url}matte', content=photo, timeout=60).status_code == 200
        for connection in slow:
            connection.settimeout(60)
            answer = connection.recv(65536)
            assert answer.startswith(b'HTTP/1.1 408 ')
            assert read_all(connection) is not None
    lines = server.lines()[before:]
    assert sum('POST /matte 408 expected the body within 1 s' in line for line in lines) == 20


def test_a_body_that_comes_fast_and_then_stops(server):
    with server.connect() as connection:
        start = time.monotonic()
        connection.sendall(HEAD + b'Content-Length: 1900000\r\n\r\n' + bytes(1_800_000))
        assert connection.recv(65536).startswith(b'HTTP/1.1 408 ')
        assert time.monotonic() - start < 10 * PATIENCE
    assert_up(server)


def test_clients_that_leave(server, photo):
    before = len(server.lines())
    for body in (b'12', photo[:5000], photo):
        with server.connect() as connection:
            connection.sendall(HEAD + f'Content-Length: {len(photo)}\r\n\r\n'.encode() + body)
    wait_until(lambda: len(server.lines()) >= before + 3)
    lines = server.lines()[before:]
    assert len(lines) == 3
    assert sum('POST /matte 499 the client has left' in line for line in lines) >= 2
    assert_up(server)


def test_clients_that_take_nothing_of_their_answer(server, photo):
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        request = HEAD + f'Content-Length: {len(photo)}\r\n\r\n'.encode() + photo
        # Answers of more bytes than systems keep for a connection: the server cuts it.
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(400 * request)
    assert_up(server)


def test_more_photos_than_wait(server, photo):
    def ask(_):
        return httpx.post(f'{server.url}matte', content=photo, params={'refine': True}, timeout=60)

    with ThreadPoolExecutor(24) as pool:
        answers = list(pool.map(ask, range(48)))
    statuses = {answer.status_code for answer in answers}
    assert statuses == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert int(answer.headers['retry-after']) >= 1
            assert re.match('the server (is busy|holds)', answer.json()['detail'])
    assert_up(server)
    metrics = httpx.get(f'{server.url}metrics').text
    assert re.search(r'^mattingjax_waiting{of="photos"} 0\.0$', metrics, re.M)


def test_what_takes_too_long(photo):
    with serving('--networks=', '--timeout=0.001') as server:
        answer = httpx.post(f'{server.url}matte', content=photo, timeout=60)
        assert answer.status_code == 503
        assert answer.json()['detail'] == 'it took more than 0.001 s'
        assert int(answer.headers['retry-after']) >= 1
        assert_up(server)


def test_pages_of_others_may_ask_where_they_are_allowed_to(server, photo):
    origin = {'Origin': 'https://example.org'}
    answer = httpx.post(f'{server.url}matte', content=photo, headers=origin, timeout=60)
    assert 'access-control-allow-origin' not in answer.headers
    with serving('--networks=', '--allow_origins=https://example.org') as other:
        answer = httpx.post(f'{other.url}matte', content=photo, headers=origin, timeout=60)
        assert answer.headers['access-control-allow-origin'] == 'https://example.org'
        # What a browser asks before it sends a photo as the body.
        question = {
            'Access-Control-Request-Method': 'POST',
            'Access-Control-Request-Headers': 'content-type',
        }
        answer = httpx.options(f'{other.url}matte', headers=origin | question)
        assert answer.status_code == 200
        assert 'POST' in answer.headers['access-control-allow-methods']


def long_jpeg(side: int, scans: int) -> bytes:
    """A progressive JPEG with its smallest scan again and again."""
    file = io.BytesIO()
    Image.new('RGB', (side, side), (90, 90, 90)).save(file, 'JPEG', progressive=True)
    content = file.getvalue()
    begin = content.rindex(b'\xff\xda')
    return content[:-2] + scans * content[begin:-2] + content[-2:]


@pytest.mark.parametrize('part', ['image', 'background'])
def test_a_picture_that_would_be_decoded_for_an_hour(photo, part):
    with serving('--networks=', '--timeout=1', '--workers=1', '--input_size=64') as server:
        files = {'image': photo, 'background': photo, part: long_jpeg(4000, 100_000)}
        answer = httpx.post(f'{server.url}matte', files=files, timeout=60)
        assert answer.status_code == 503
        wait_until(
            lambda: httpx.post(f'{server.url}matte', content=photo, timeout=60).status_code == 200
        )


def test_more_connections_than_are_taken(server):
    with contextlib.ExitStack() as stack:
        many = [stack.enter_context(server.connect()) for _ in range(MAX_CONNECTIONS + 20)]
        assert read_all(many[-1]) == b''
    assert_up(server)
    assert f'warning: expected at most {MAX_CONNECTIONS} connections' in server.lines()
