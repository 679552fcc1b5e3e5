import pytest

from tests.conftest import assert_one_line_error
from tests.torch_files import as_state_dict, write_state_dict


@pytest.mark.parametrize(
    ('script', 'arguments'),
    [
        ('predict', ('--runtime=jax', '--input', '.github/astronaut.jpg', '--output', 'out')),
        ('train', ('--config', 'configs/smoke.py', '--workdir', 'out')),
    ],
)
@pytest.mark.parametrize('platform', ['cuda', 'none-such'])
def test_a_backend_that_is_not_there(
    script, arguments, platform, run_script, tmp_path, monkeypatch
):
    monkeypatch.setenv('JAX_PLATFORMS', platform)
    arguments = [tmp_path / 'out' if argument == 'out' else argument for argument in arguments]
    process = run_script(script, *arguments)
    asked = f'JAX has no backend: JAX_PLATFORMS={platform} asks for what is not installed'
    assert_one_line_error(process, asked, 'JAX_PLATFORMS=cpu always works')
    assert not (tmp_path / 'out' / 'states').exists()


def test_import_weights_says_so_too(modnet, run_script, tmp_path, monkeypatch):
    write_state_dict(tmp_path / 'weights.ckpt', as_state_dict(modnet))
    monkeypatch.setenv('JAX_PLATFORMS', 'cuda')
    arguments = ('--source', tmp_path / 'weights.ckpt', '--output', tmp_path / 'out')
    assert_one_line_error(run_script('import_weights', *arguments), 'JAX has no backend')
