"""A network's configuration, which a checkpoint keeps as config.json."""

from __future__ import annotations

import dataclasses
from typing import Any, Self

import flax.linen as nn

from mattingjax.config.schema import Schema, from_json
from mattingjax.errors import ConfigError
from mattingjax.images.preprocessing import (
    MAX_INPUT_SIDE,
    Preprocessing,
    check_input_size,
    check_side,
)
from mattingjax.networks.registry import find_network


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """Everything that is needed to build a network and to feed it.

    Attributes:
      network: The name of the network in the registry, such as 'modnet' or 'mmnet'.
      architecture: The widths of the network.
      input_size: The short side, or both sides, of the input in pixels; `Preprocessing.resize` says
        which.
      preprocessing: How a photo becomes the input.
      provenance: How the variables came to be, as JSON types that are never interpreted.
    """

    network: str
    architecture: Schema
    input_size: int
    preprocessing: Preprocessing
    provenance: dict[str, Any] = dataclasses.field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        expected = find_network(self.network).architecture
        if not isinstance(self.architecture, expected):
            raise ConfigError(
                f'ModelConfig.architecture: expected {expected.__name__} for network '
                f'{self.network!r}, got {self.architecture!r:.80}'
            )
        stride = find_network(self.network).preprocessing.multiple_of
        if self.preprocessing.multiple_of % stride:
            raise ConfigError(
                f'ModelConfig.preprocessing.multiple_of: expected a multiple of {stride}, the '
                f'stride of {self.network}, got {self.preprocessing.multiple_of}'
            )
        check_input_size(self.input_size, self.preprocessing, 'ModelConfig.input_size')

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as JSON types."""
        return {
            'network': self.network,
            'architecture': self.architecture.to_dict(),
            'input_size': self.input_size,
            'preprocessing': self.preprocessing.to_dict(),
            'provenance': self.provenance,
        }

    @classmethod
    def from_dict(cls, content: Any) -> Self:
        """Makes the configuration from what `to_dict` returned.

        Raises:
          ConfigError: A field, which is named, is missing, unknown, of another type or impossible.
        """
        if not isinstance(content, dict):
            raise ConfigError(f'ModelConfig: expected an object, got {content!r:.80}')
        names = [field.name for field in dataclasses.fields(cls)]
        if unknown := sorted(set(content) - set(names)):
            raise ConfigError(f'ModelConfig.{unknown[0]}: unknown field; known: {", ".join(names)}')
        if missing := sorted(set(names) - set(content)):
            raise ConfigError(f'ModelConfig.{missing[0]}: missing')
        if not isinstance(content['provenance'], dict):
            raise ConfigError(
                f'ModelConfig.provenance: expected an object, got {content["provenance"]!r:.80}'
            )
        return cls(
            network=content['network'],
            architecture=from_json(
                'ModelConfig.architecture',
                content['architecture'],
                find_network(content['network']).architecture,
            ),
            input_size=content['input_size'],
            preprocessing=from_json(
                'ModelConfig.preprocessing', content['preprocessing'], Preprocessing
            ),
            provenance=content['provenance'],
        )


def create_model_config(
    network: str,
    architecture: Schema | None = None,
    *,
    input_size: int | None = None,
    provenance: dict[str, Any] | None = None,
) -> ModelConfig:
    """Makes the configuration of a network with its published preprocessing.

    Args:
      network: The name of the network in the registry, such as 'modnet' or 'mmnet'.
      architecture: The widths; the published ones if None.
      input_size: The side of the input in pixels; the published one, such as 512 for MODNet, if
        None.
      provenance: How the variables came to be, as JSON types.

    Raises:
      ConfigError: The network is unknown, or a value does not fit it.
    """
    defaults = find_network(network)
    return ModelConfig(
        network=network,
        architecture=architecture or defaults.architecture(),
        input_size=defaults.input_size if input_size is None else input_size,
        preprocessing=defaults.preprocessing,
        provenance=provenance or {},
    )


def with_dropout(config: ModelConfig, share: float) -> ModelConfig:
    """Returns the configuration with another dropout rate in [0, 1), if the network has dropout."""
    if not find_network(config.network).has_dropout:
        return config
    architecture = dataclasses.replace(config.architecture, dropout=share)  # type: ignore[call-arg]
    return dataclasses.replace(config, architecture=architecture)


def create_model(config: ModelConfig) -> nn.Module:
    """Makes the Flax module that a configuration describes; it takes normalised images."""
    return find_network(config.network).module(config.architecture)


def check_size(config: ModelConfig, height: int, width: int, where: str) -> None:
    """Raises ConfigError, beginning with `where`, unless both sides in pixels are possible."""
    for name, size in (('height', height), ('width', width)):
        check_side(
            size, config.preprocessing, f'{where}: expected a {name} that is', MAX_INPUT_SIDE
        )
