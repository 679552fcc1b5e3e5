"""The application without a server around it."""

import asyncio

import httpx
import numpy as np
import pytest

from mattingjax.images import encode_png
from mattingjax.inference.serving.app import create_app
from mattingjax.inference.serving.limits import Limits
from mattingjax.inference.serving.service import Service


@pytest.mark.parametrize('error', [RuntimeError('a secret'), MemoryError()])
def test_faults_of_ours_end_one_request(capsys, error):
    failing = [True]

    def predict(photo):
        if failing:
            raise error
        return np.ones(photo.pixels.shape[:2], np.float32)

    service = Service(['modnet_p'], lambda name: predict, Limits(workers=1))
    transport = httpx.ASGITransport(create_app(service), raise_app_exceptions=False)

    async def ask() -> httpx.Response:
        async with httpx.AsyncClient(transport=transport, base_url='http://here') as client:
            photo = encode_png(np.zeros((32, 32, 3), np.uint8))
            return await client.post('/matte?kind=alpha', content=photo)

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert answer.json() == {'detail': 'the server failed; its log says why'}
    line, *traceback = capsys.readouterr().err.splitlines()
    assert f'POST /matte?kind=alpha 500 {type(error).__name__}: ' in line
    assert traceback[0] == 'Traceback (most recent call last):'
    failing.clear()
    assert asyncio.run(ask()).status_code == 200
    service.close()
