import pytest

from mattingjax.errors import MattingError
from mattingjax.networks import create_model_config
from mattingjax.training import memory
from tests.training.conftest import tiny_config


def test_on_device_the_workers_hold_no_batches(monkeypatch):
    monkeypatch.setattr(memory, '_host_memory', lambda: 8 * 2**30)
    monkeypatch.setattr(memory, '_device_memory', lambda: 2**50)
    config = tiny_config('mmnet', batch_size=4000, data__workers=40)
    network = create_model_config('mmnet', input_size=64)
    with pytest.raises(MattingError, match=r'config.data.workers: .* 40 processes'):
        memory.check_photos(config, network, validation=0)
    config.data.on_device = True
    memory.check_photos(config, network, validation=0)
    config.data.workers = 70  # though each is a process
    with pytest.raises(MattingError, match=r'config.data.workers: .* 70 processes'):
        memory.check_photos(config, network, validation=0)
