"""A server in a process of its own, for tests that call it over HTTP or look at its page."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.forked import ROOT
from tests.waiting import wait_until

_LONGEST = 60  # seconds for its end


class Server:
    """`mattingjax serve` while it runs.

    Attributes:
      url: The address of its page, which ends with a slash.
      process: The process.
    """

    def __init__(self, process: subprocess.Popen, said: Path):
        self.process, self._said = process, said
        self.url = process.stdout.readline().decode().strip()
        assert self.url.startswith('http://'), said.read_text()

    def lines(self) -> list[str]:
        """What it has written to standard error so far."""
        return self._said.read_text().splitlines()

    def wait_for_lines(self, earlier: int) -> list[str]:
        """The lines after so many earlier ones; a line is written once its answer is."""
        wait_until(lambda: len(self.lines()) > earlier, _LONGEST)
        return self.lines()[earlier:]

    def connect(self) -> socket.socket:
        """A connection to it."""
        host, _, port = self.url.removeprefix('http://').rstrip('/').rpartition(':')
        return socket.create_connection((host, int(port)), timeout=_LONGEST)

    def children(self) -> list[int]:
        """The processes that it has started and that have not ended."""
        threads = Path(f'/proc/{self.process.pid}/task').glob('*/children')
        return [int(number) for thread in threads for number in thread.read_text().split()]

    def memory(self) -> int:
        """Its resident memory in bytes."""
        pages = Path(f'/proc/{self.process.pid}/statm').read_text().split()[1]
        return int(pages) * os.sysconf('SC_PAGE_SIZE')

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal, and returns the exit status."""
        self.process.send_signal(number)
        return self.process.wait(_LONGEST)


@contextlib.contextmanager
def serving(*flags: str) -> Iterator[Server]:
    """Runs a server on a free port until the block ends.

    Args:
      flags: Further flags of the command.
    """
    command = [sys.executable, '-m', 'mattingjax', 'serve', '--port=0', *flags]
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder) / 'said'
        with said.open('wb') as stderr:
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr, cwd=ROOT)
        try:
            yield Server(process, said)
        finally:
            if process.poll() is None:
                process.terminate()
            process.communicate(timeout=_LONGEST)
