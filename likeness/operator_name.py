"""Who runs a command, as the audit log names them."""

import getpass
import os


def operator() -> str:
    """`operator:` and the login name, or the number where there is no name."""
    try:
        return f"operator:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user need not have a name
        return f"operator:{os.getuid()}"
