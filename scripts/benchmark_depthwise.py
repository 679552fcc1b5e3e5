"""Measures the two ways to write a depthwise convolution: shifted multiply-adds and grouped.

  python scripts/benchmark_depthwise.py

For each network, inference on one image and a gradient step are timed in turn in one process, so
that other work of the machine slows both forms alike. Compare the ratios of the medians: below 1,
the shifted form is faster.

Compiling the eight programs comes first and takes longest: about six minutes on two cores, most of
them for the gradients of MODNet. The next start loads what this one has compiled.
"""

import sys

from absl import flags

from mattingjax.process import command_line

_ROUNDS = flags.DEFINE_integer('rounds', 10, 'Timed runs of each.', lower_bound=1)
command_line.define_compilation_cache()


def main() -> None:
    import jax

    from mattingjax.networks import network_names
    from mattingjax.process.timing import time_in_turn

    print(f'JAX {jax.__version__}, {jax.default_backend()}, {_ROUNDS.value} rounds')
    print(f'{"":28}{"shifted":>12}{"grouped":>12}{"ratio":>8}')
    for network in network_names():
        for task in ('inference', 'gradient'):
            runs = {}
            for form in ('shifted', 'grouped'):
                print(f'compiling {network} {task}, {form}', file=sys.stderr)
                runs[form] = _compile(network, task, form)
            shifted, grouped = time_in_turn(runs, _ROUNDS.value).values()
            ratio = shifted / grouped
            name = f'{network} {task}'
            print(f'{name:28}{shifted * 1e3:9.1f} ms{grouped * 1e3:9.1f} ms{ratio:8.2f}')


def _compile(network: str, task: str, form: str):
    import jax
    import numpy as np

    from mattingjax.networks import create_model, create_model_config, init_variables, operations
    from mattingjax.networks.replacement import replace_operations

    config = create_model_config(network)
    model, variables = create_model(config), init_variables(config, seed=0)
    image = np.random.default_rng(0).uniform(0, 1, (1, config.input_size, config.input_size, 3))
    image = image.astype(np.float32)

    def infer(variables):
        return model.apply(variables, image)['alpha']

    def loss(params):
        outputs, _ = model.apply(
            {**variables, 'params': params}, image, train=True, mutable=['batch_stats']
        )
        return outputs['alpha'].mean()

    function, argument = (
        (infer, variables) if task == 'inference' else (jax.grad(loss), variables['params'])
    )
    forms = {
        'shifted': operations.shifted_depthwise_conv,
        'grouped': operations.depthwise_conv.plain,
    }
    replacements = {operations.depthwise_conv: forms[form]}
    with replace_operations(replacements):
        compiled = jax.jit(function).lower(argument).compile()
    return lambda: jax.block_until_ready(compiled(argument))


if __name__ == '__main__':
    command_line.run()
