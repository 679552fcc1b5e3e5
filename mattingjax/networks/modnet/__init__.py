"""MODNet: its module, channels and losses, gathered in the record `MODNET`."""

from mattingjax.networks.mobilenet_v2 import EPSILON
from mattingjax.networks.modnet.channels import walk_modnet
from mattingjax.networks.modnet.loss import modnet_loss, soc_loss
from mattingjax.networks.modnet.module import MODNet, MODNetConfig
from mattingjax.networks.network import Network, Preprocessing

MODNET = Network(
    name='modnet',
    architecture=MODNetConfig,
    module=MODNet,
    input_size=512,
    preprocessing=Preprocessing((127.5,) * 3, (127.5,) * 3, 'short_side', 32),
    epsilon=EPSILON,
    last_layer='f_branch/conv_f_1',
    walk=walk_modnet,
    loss=modnet_loss,
    needs_trimap=True,
    self_supervised_loss=soc_loss,
    transform='modnet',
)

__all__ = ['MODNET', 'MODNet', 'MODNetConfig']
