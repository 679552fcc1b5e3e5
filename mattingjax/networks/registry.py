"""The registry of networks: the one place that lists them."""

from __future__ import annotations

from typing import Any

from mattingjax.errors import ConfigError
from mattingjax.networks.deeplab import DEEPLAB, DEEPLAB_ASPP
from mattingjax.networks.mmnet import MMNET
from mattingjax.networks.modnet import MODNET
from mattingjax.networks.network import Network

_NETWORKS: dict[str, Network] = {}


def register_network(network: Network) -> None:
    """Makes a network known by its name to settings, checkpoints, pruning and the exporters.

    Raises:
      ConfigError: Another network is registered under that name.
    """
    if _NETWORKS.setdefault(network.name, network) is not network:
        raise ConfigError(f'network: {network.name!r} is registered already')


def network_names() -> list[str]:
    """Returns the names of the networks, in the order in which they were registered."""
    return list(_NETWORKS)


def find_network(name: Any) -> Network:
    """Finds the network of a name.

    Raises:
      ConfigError: No network is registered under that name.
    """
    if not isinstance(name, str) or name not in _NETWORKS:
        raise ConfigError(f'network: expected one of {", ".join(_NETWORKS)}, got {name!r}')
    return _NETWORKS[name]


for _network in (MODNET, MMNET, DEEPLAB, DEEPLAB_ASPP):
    register_network(_network)
