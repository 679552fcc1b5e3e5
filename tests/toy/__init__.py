"""The toy network: three layers, their channels and losses, gathered in the record `TOY`.

It is the example of a third network in CONTRIBUTING. It compiles in a second or two, so tests of
what is the same for every network use it. Importing this package registers it.
"""

from mattingjax.networks import Network, Preprocessing, register_network
from tests.toy.channels import walk_toy
from tests.toy.loss import consistency_loss, toy_loss
from tests.toy.module import EPSILON, Toy, ToyConfig

TOY = Network(
    name='toy',
    architecture=ToyConfig,
    module=Toy,
    input_size=32,
    preprocessing=Preprocessing((0.0,) * 3, (255.0,) * 3, 'exact', 2),
    epsilon=EPSILON,
    last_layer='head',
    walk=walk_toy,
    loss=toy_loss,
    self_supervised_loss=consistency_loss,
    scaling_layer='stem/conv',
)

register_network(TOY)  # the library's own networks are registered in networks/registry.py

__all__ = ['TOY', 'Toy', 'ToyConfig']
