import pytest

from mattingjax.training.recorder import read_table
from tests.training.conftest import run_training

pytestmark = pytest.mark.usefixtures('quickly_compiled')

# In the process of a training, before JAX has started its backend.
DEVICES = """
import os
os.environ['XLA_FLAGS'] = '--xla_force_host_platform_device_count={0}'
import jax
assert jax.device_count() == {0}
"""


@pytest.mark.slow
def test_devices_share_a_batch(tmp_path):
    """Not with Adam: where a gradient is 0 but for rounding, its first steps go either way."""
    config = {
        'steps': 6, 'batch_size': 8, 'dataset__count': 16, 'save_every_steps': 6,
        'validation__every_steps': 6, 'optimizer__name': 'sgd', 'optimizer__learning_rate': 1e-5,
        'optimizer__ema_decay': 0.9,
    }  # fmt: skip
    found = {}
    for devices in (1, 2, 8):
        workdir = tmp_path / str(devices)
        process = run_training(workdir, before=DEVICES.format(devices), **config)
        assert process.returncode == 0, process.stderr.decode()
        rows = read_table(workdir / 'metrics.csv')
        assert [row['step'] for row in rows] == [1, 2, 3, 4, 5, 6]
        found[devices] = {name: [row[name] for row in rows] for name in ('loss', 'gradient_norm')}
    for devices in (2, 8):
        assert found[devices]['loss'] == pytest.approx(found[1]['loss'], abs=1e-4)
        # Rounding moves some; a sum in place of the mean would be as many times as much.
        norms = found[1]['gradient_norm']
        assert found[devices]['gradient_norm'] == pytest.approx(norms, rel=0.05)
