"""The queue of photos, where a request ends before its work does."""

import asyncio
import threading

import pytest
from fastapi import HTTPException

from mattingjax.inference.serving.workers import Workers


class Client:
    """A request whose client stays."""

    async def receive(self):
        await asyncio.Event().wait()


def test_work_that_goes_on_after_the_loop_counts_until_its_end(caplog):
    workers, go_on = Workers(1, 0, timeout=0.05), threading.Event()
    with pytest.raises(HTTPException, match='503'):
        asyncio.run(workers.run(lambda _: go_on.wait(60), Client()))
    with pytest.raises(HTTPException, match='429'):
        workers.check_room()
    go_on.set()
    workers._pool.shutdown(wait=True)
    workers.check_room()
    assert workers.waiting == workers.working == 0
    assert not caplog.records
