"""`mattingjax evaluate`, from a clone."""

from mattingjax.commands import evaluate
from mattingjax.process import command_line

if __name__ == '__main__':
    command_line.run(evaluate)
