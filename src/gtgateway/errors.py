"""What no sender can mend. Faults in a document are findings, never exceptions.

    GatewayError
    ├── ConfigurationError      a setting, file or directory that the gateway cannot start with
    ├── StoreUnavailable        the archive cannot be reached; the sender is asked to send again
    ├── Overloaded              a bounded queue is full; the sender is asked to send again
    └── NotAllowed              the caller may not do this

The docstring of a class is its message; a subclass says more in its arguments. None carries a CPR number
or clinical text.
"""

from __future__ import annotations


class GatewayError(Exception):
    """The gateway could not do this."""

    def __init__(self, detail: str = "") -> None:
        self.detail = detail
        super().__init__(f"{type(self).__doc__} {detail}".strip())


class ConfigurationError(GatewayError):
    """The gateway cannot start with this configuration."""


class StoreUnavailable(GatewayError):
    """The archive cannot be reached; send again later."""


class Overloaded(GatewayError):
    """The gateway is overloaded; send again later."""


class NotAllowed(GatewayError):
    """The caller may not do this."""
