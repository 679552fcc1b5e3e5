"""`mattingjax complexity`, from a clone."""

from mattingjax.commands import complexity
from mattingjax.process import command_line

if __name__ == '__main__':
    command_line.run(complexity)
