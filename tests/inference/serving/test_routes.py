"""What else the server answers."""

import re

import numpy as np
import pytest


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
    for name in ('working', 'waiting'):
        for of in ('photos', 'clips'):
            assert count(f'mattingjax_{name}{{of="{of}"}}') == 0
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


@pytest.mark.parametrize('wanted', ['bytes=0-3', 'bytes=0--9223372036854775808', 'bytes=9-1'])
@pytest.mark.parametrize('path', ['', 'page.js', 'docs', 'static-offline-docs/swagger-ui.css'])
def test_files_are_sent_whole_whatever_part_is_wanted(client, path, wanted):
    whole = client.get(path)
    answer = client.get(path, headers={'Range': wanted})
    assert whole.status_code == answer.status_code == 200
    assert answer.content == whole.content


def test_browsers_ask_for_the_page_anew(client):
    answer = client.get('page.js')
    assert answer.headers['cache-control'] == 'no-cache'
    assert answer.headers['content-type'].startswith('text/javascript')
    again = client.get('page.js', headers={'If-None-Match': answer.headers['etag']})
    assert again.status_code == 304


def test_what_browsers_are_told_of_every_answer(client):
    for path, policy in (('', "default-src 'self'"), ('docs', "script-src 'self' 'unsafe-inline'")):
        headers = client.get(path).headers
        assert policy in headers['content-security-policy']
        assert headers['x-content-type-options'] == 'nosniff'
        assert headers['referrer-policy'] == 'no-referrer'
