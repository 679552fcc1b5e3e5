"""Times a training step, and the same step of the same network in PyTorch where it is installed.

  python scripts/benchmark_training.py
  python scripts/benchmark_training.py --cases modnet:1:512 --rounds 20

A step is the loss and the gradient of every parameter, with statistics of the batch. The forms
are run in turn in one process, each on all cores; printed are the medians in seconds and their
ratios to that of PyTorch's faster memory format. 'plain' is what automatic differentiation makes of
our operations, 'ours' uses `cpu_operations`. PyTorch (no dependency of this package) gets our
parameters, and the script stops if its loss differs. 'in training' is our step as mattingjax train
runs it: with the network's own losses, Adam's update and the state's memory donated, none of which
PyTorch's step has. All forms keep freed memory, as mattingjax train does, unless --nokeep_memory is
given.
"""

import functools

from absl import flags

from mattingjax.process import command_line

_CASES = flags.DEFINE_list(
    'cases', ['modnet:1:512', 'mmnet:1:256', 'mmnet:8:256'], 'NETWORK:BATCH:SIZE, size in pixels.'
)
_ROUNDS = flags.DEFINE_integer('rounds', 10, 'Timed steps of each.', lower_bound=1)
_KEEP_MEMORY = flags.DEFINE_bool(
    'keep_memory', True, 'Whether freed memory stays with the process, as training/memory.py does.'
)
_PLAIN = flags.DEFINE_bool('plain', True, 'Whether the plain operations are timed too.')


def main() -> None:
    import re

    import jax

    from mattingjax.errors import MattingError
    from mattingjax.networks import find_network
    from mattingjax.process.memory import keep_freed_memory
    from mattingjax.process.timing import time_in_turn

    if _KEEP_MEMORY.value:
        keep_freed_memory()
    for case in _CASES.value:
        if not re.fullmatch(r'\w+:[1-9][0-9]{0,3}:[1-9][0-9]{0,3}', case):
            raise MattingError(f'--cases: expected NETWORK:BATCH:SIZE, got {case!r}')
        find_network(case.split(':')[0])
    print(f'JAX {jax.__version__}, {jax.default_backend()}, {_torch_name()}')
    for case in _CASES.value:
        network, batch, size = case.split(':')
        runs = _compile(network, int(batch), int(size))
        losses = {form: float(run()) for form, run in runs.items()}
        expected = losses['ours']
        for form, loss in losses.items():
            if abs(loss - expected) > 1e-3 * expected:
                raise MattingError(f'{case}: expected equal losses, got {losses}; {form} differs')
        runs['in training'] = _training_step(network, int(batch), int(size))
        seconds = time_in_turn(runs, _ROUNDS.value)
        peers = [value for form, value in seconds.items() if form.startswith('PyTorch')]
        print(f'{case}, loss {expected:.6f}, {_ROUNDS.value} rounds')
        for form, value in seconds.items():
            ratio = f'{value / min(peers):8.2f}' if peers else ''
            print(f'  {form:24}{value:9.4f} s{ratio}')


def _torch_name() -> str:
    try:
        import torch
    except ImportError:
        return 'PyTorch is not installed'
    return f'PyTorch {torch.__version__}'


def _compile(network: str, batch: int, size: int):
    """Name of each form → a function that runs one step and returns the loss."""
    import time

    import jax
    import jax.numpy as jnp
    import numpy as np

    from mattingjax.networks import create_model, create_model_config, init_variables
    from mattingjax.networks.cpu_operations import TRAINING
    from mattingjax.networks.replacement import replace_operations

    config = create_model_config(network)
    model, variables = create_model(config), init_variables(config, seed=0)
    image = np.random.default_rng(0).uniform(0, 1, (batch, size, size, 3)).astype(np.float32)

    def loss(params, batch_stats, image, replacements):
        with replace_operations(replacements):
            outputs, updates = model.apply(
                {'params': params, 'batch_stats': batch_stats},
                image,
                train=True,
                mutable=['batch_stats'],
            )
        return sum(jnp.square(output - 0.5).mean() for output in outputs.values()), updates

    arguments = jax.device_put((variables['params'], variables['batch_stats'], image))
    forms = ({'plain': {}} if _PLAIN.value else {}) | {'ours': TRAINING}
    runs = {}
    for form, replacements in forms.items():
        step = jax.value_and_grad(functools.partial(loss, replacements=replacements), has_aux=True)
        start = time.perf_counter()
        compiled = jax.jit(step).lower(*arguments).compile()
        print(f'{network} {form}: compiled in {time.perf_counter() - start:.1f} s')
        runs[form] = functools.partial(_run, compiled, arguments)
    return runs | _torch_steps(config, variables['params'], image)


def _run(compiled, arguments):
    import jax

    (loss, _), _ = jax.block_until_ready(compiled(*arguments))
    return loss


def _training_step(network: str, batch: int, size: int):
    """A function that runs one step of a training and returns the loss."""
    import jax
    import numpy as np
    import optax

    from mattingjax.networks import create_model_config, find_network, init_variables
    from mattingjax.training.objective import Objective
    from mattingjax.training.state import create_state
    from mattingjax.training.steps import StepInputs, StepOptions, create_train_step

    config = create_model_config(network)
    inputs = StepInputs(np.float32(1e-4), np.zeros(2, np.uint32))
    rng = np.random.default_rng(0)
    alpha = rng.uniform(0, 1, (batch, size, size, 1)).astype(np.float32)
    photos = {
        'image': rng.integers(0, 256, (batch, size, size, 3), np.uint8),
        'alpha': alpha,
        'trimap': np.where(abs(alpha - 0.5) < 0.2, 0.5, alpha.round()).astype(np.float32),
    }
    if not find_network(network).needs_trimap:
        del photos['trimap']
    step = create_train_step(config, Objective(network), optax.adam, StepOptions())
    compiled = jax.jit(step, donate_argnums=0)
    optimizer = optax.adam(optax.constant_schedule(1e-4))
    state = create_state(init_variables(config, seed=0), optimizer)
    photos = jax.device_put(photos)

    def run():
        nonlocal state
        state, metrics = jax.block_until_ready(compiled(state, photos, None, inputs))
        return metrics['loss']

    run()  # compiles it
    return run


def _torch_steps(config, params, image):
    try:
        import torch
    except ImportError:
        return {}
    import torch_networks  # beside this script

    if config.network not in torch_networks.MODULES:
        return {}

    def step(module, image):
        module.zero_grad(set_to_none=True)
        loss = sum((output - 0.5).square().mean() for output in module(image).values())
        loss.backward()
        return loss.detach()

    steps = {}
    for memory_format in (torch.contiguous_format, torch.channels_last):
        module = torch_networks.create_module(config, params).to(memory_format=memory_format)
        tensor = torch.tensor(image).permute(0, 3, 1, 2).contiguous(memory_format=memory_format)
        name = f'PyTorch {str(memory_format).removeprefix("torch.")}'
        steps[name] = functools.partial(step, module, tensor)
    return steps


if __name__ == '__main__':
    command_line.run()
