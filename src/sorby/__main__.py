"""`python -m sorby`: the command line, as `torchrun` starts it."""

from sorby.cli import main

if __name__ == "__main__":
    main()
