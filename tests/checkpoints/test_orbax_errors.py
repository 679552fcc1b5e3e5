"""What Orbax and TensorStore say after a failure that was raised."""

import asyncio
import logging

from mattingjax.checkpoints.orbax_errors import quiet_failures


def test_late_failures_of_the_store_are_not_told(caplog):
    with quiet_failures():
        pass
    for text in ('Error writing "a/0" in OCDBT database at local file "/b"', 'of somebody else'):
        with caplog.at_level(logging.ERROR, 'asyncio'), asyncio.Runner() as runner:
            future = runner.get_loop().create_future()
            future.set_exception(ValueError(text))
            del future  # its exception was never retrieved
    (record,) = caplog.records
    assert 'of somebody else' in record.getMessage()
