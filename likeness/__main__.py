"""`python -m likeness` is the program `likeness`."""

from likeness.main import run

run()
