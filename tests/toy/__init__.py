"""A network of three layers, everything of it, as a third network is written: `TOY` is the record.

CONTRIBUTING takes it as its example of a third network. It compiles in a second or two, so tests of
what is the same for every network use it. To import this package makes it known by its name.
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

register_network(TOY)  # networks of the library itself are registered in networks/registry.py

__all__ = ['TOY', 'Toy', 'ToyConfig']
