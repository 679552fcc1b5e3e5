"""A server that the tests of its routes share, and a photo for it."""

import httpx
import pytest
import skimage.data

from mattingjax.images import encode_png
from tests.servers import serving


@pytest.fixture(scope='module')
def server():
    # The runtime of `create_predictor`, with which its answers are compared.
    flags = '--runtime=onnxruntime', '--max_megapixels=2', '--max_clip_seconds=2'
    with serving('--networks=mmnet_0.5', *flags) as running:
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
