"""The command: its end, its port, its flags."""

import re
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import skimage.data

from mattingjax.images import encode_png
from tests.conftest import assert_one_line_error
from tests.servers import serving
from tests.waiting import wait_until


def count_photos(metrics: str) -> float:
    """The photos that wait, are in work or have their answer."""
    names = (
        r'mattingjax_(?:working{of="photos"}|waiting{of="photos"}|requests_total{route="/matte".*})'
    )
    return sum(map(float, re.findall(rf'^{names} (\S+)$', metrics, re.M)))


def test_requests_in_progress_are_answered_at_the_end():
    photo = encode_png(skimage.data.astronaut())
    with serving('--networks=') as server, ThreadPoolExecutor(4) as pool:
        answers = [
            pool.submit(httpx.post, f'{server.url}matte', content=photo, timeout=60)
            for _ in range(4)
        ]
        wait_until(lambda: count_photos(httpx.get(f'{server.url}metrics').text) >= 4)
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
        time.sleep(0.5)  # or it would count as the first one once more
        start = time.monotonic()
        assert server.stop() == 128 + signal.SIGTERM
        assert time.monotonic() - start < 5  # of the ten seconds that the client has


def run(*flags: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'mattingjax', 'serve', *flags]
    return subprocess.run(command, capture_output=True, timeout=60)


def test_a_port_that_is_taken():
    with socket.create_server(('127.0.0.1', 0)) as other:
        port = other.getsockname()[1]
        assert_one_line_error(run(f'--port={port}'), '--host, --port', str(port), 'in use')


@pytest.mark.parametrize(
    ('flag', 'said'),
    [
        ('--port=70000', '--port: expected 0 to 65535, got 70000'),
        ('--host=no.such.host.invalid', '--host'),
        ('--workers=0', '--workers: expected 1 to 1e+06, got 0'),
        ('--allow_origins=example.org', '--allow_origins: expected origins such as'),
        ('--max_megapixels=-1', '--max_megapixels'),
        ('--networks=nothing', 'nothing: not a checkpoint'),
        ('--networks=modnet_p,./modnet_p', '--networks'),
        ('--timeout=nan', '--timeout'),
    ],
)
def test_wrong_flags_get_one_line(flag, said):
    assert_one_line_error(run('--port=0', flag), said)
