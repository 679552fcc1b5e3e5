"""`mattingjax import-weights`, from a clone."""

from mattingjax.commands import import_weights
from mattingjax.process import command_line

if __name__ == '__main__':
    command_line.run(import_weights)
