import jax
import numpy as np
import optax
import pytest

from mattingjax.training.saved_states import Progress, Saver
from mattingjax.training.state import create_state


@pytest.mark.parametrize(
    'name', ['run[1]/a*?', 'gs:/[x]', 'back\\slash/-x', "%41 #~{}/it's", 'line\nbreak/é']
)
def test_states_lie_in_any_folder(toy, tmp_path, name):
    folder = tmp_path / name / 'states'
    state = create_state(toy.variables, optax.sgd(0.1))
    progress = Progress(toy.config, {'position': 3}, {'mad': 0.5})
    with Saver(folder, keep=1) as saver:
        assert saver.latest_step is None
        for step in (1, 2):
            saver.save(step, state.replace(step=state.step + step), progress)
    assert sorted(child.name for child in folder.iterdir()) == ['2']
    with Saver(folder, keep=1) as saver:
        assert saver.latest_step == 2
        assert saver.restore_progress() == progress
        restored = saver.restore_state(state)
    assert int(restored.step) == 2
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, restored.params, state.params)))


def test_a_short_description(toy):
    state = create_state(toy.variables, optax.sgd(0.1))
    count = sum(map(np.size, jax.tree.leaves(toy.variables['params'])))
    assert repr(state).startswith(f'TrainState(step 0, {count:,} parameters, 0.')
