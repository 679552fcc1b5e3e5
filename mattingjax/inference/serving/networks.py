"""The networks that a server offers, each loaded when it is asked for first."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mattingjax.errors import MattingError
from mattingjax.inference.predictor import Predictor
from mattingjax.weights import describe_weights, find_checkpoint, list_weights, ships


class Networks:
    """Networks by the names under which clients ask for them.

    Args:
      sources: Names of weights that ship, checkpoint directories and artefacts; the first one is
        taken where a client names none. A path is offered by the name of its file or folder,
        without the extension. The first, and all that do not ship, are loaded at once.
      load: Makes the predictor of one of them.

    Raises:
      MattingError: Two would have the same name, or one cannot be loaded.
    """

    def __init__(self, sources: Sequence[str], load: Callable[[str], Predictor]):
        self._sources: dict[str, str] = {}
        for source in dict.fromkeys(sources):
            name = source if _ships(source) else Path(source).stem
            if name in self._sources:
                raise MattingError(
                    f'networks: {source} and {self._sources[name]} would both be called {name}'
                )
            self._sources[name] = source
        self._load, self._predictors, self._lock = load, dict[str, Predictor](), threading.Lock()
        self.default = next(iter(self._sources))
        for name, source in self._sources.items():
            if name == self.default or not _ships(source):
                self.get(name)

    def __contains__(self, name: object) -> bool:
        return name in self._sources

    def __iter__(self) -> Iterator[str]:
        return iter(self._sources)

    def source(self, name: str) -> str:
        """What a network is loaded from."""
        return self._sources[name]

    def get(self, name: str) -> Predictor:
        """The predictor of a network; threads may call it at once.

        Raises:
          MattingError: It cannot be loaded.
        """
        if name in self._predictors:  # which does not wait until another one is loaded
            return self._predictors[name]
        with self._lock:
            if name not in self._predictors:
                self._predictors[name] = self._load(self._sources[name])
            return self._predictors[name]

    def describe(self) -> list[dict[str, Any]]:
        """What `describe_weights` says of each that ships; of others what their predictor knows."""
        return [self._describe(name, source) for name, source in self._sources.items()]

    def _describe(self, name: str, source: str) -> dict[str, Any]:
        if _ships(source):
            return describe_weights(source)
        known = self._predictors[name].describe()
        return {
            'name': name,
            'network': known.get('name'),
            'parameters': None,
            'input_size': known['input_size'],
            'use': '',
        }


def _ships(source: str) -> bool:
    """Whether it names weights that ship, and no folder of that name lies here."""
    return source in list_weights() and ships(find_checkpoint(source))
