"""One process owns an embedded database; a lock file beside it says which."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from gtgateway.errors import ConfigurationError


def take_ownership(database: Path) -> int:
    """Lock `<database>.lock` and return its file descriptor; closing it, or the end of the process, lets go.

    Raises ConfigurationError that names the owning process, or says that the folder cannot be written.
    """
    path = database.with_name(database.name + ".lock")
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise ConfigurationError(f"The database {database} cannot be opened: {error.strerror}.") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        owner = os.read(descriptor, 20).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise ConfigurationError(f"The database {database} belongs to the running process {owner}.") from None
    os.ftruncate(descriptor, 0)
    os.write(descriptor, b"%d\n" % os.getpid())
    return descriptor
