"""One server and one browser for the tests of the page."""

import pytest

from tests.browsers import chromium
from tests.inference.serving.page.pages import opened
from tests.servers import serving

# The camera of the tests turns a circle; nobody is asked whether it may.
CAMERA = ('--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream')


@pytest.fixture(scope='package')
def address():
    pytest.importorskip('fastapi', reason='the packages of a server are not installed')
    with serving() as server:
        yield server.url


@pytest.fixture(scope='package')
def browser():
    with chromium(*CAMERA) as browser:
        yield browser


@pytest.fixture
def page(browser, address):
    with opened(browser, address) as page:
        yield page
