"""What no sender can mend. Faults in a document are findings, never exceptions.

    GatewayError
    ├── ConfigurationError      a setting, file or directory that the gateway cannot start with
    ├── StoreUnavailable        the archive cannot be reached; the sender is asked to send again
    ├── Overloaded              a bounded queue is full; the sender is asked to send again
    ├── SendAgain               either of the two, with the answer that the sender's format has for it
    └── NotAllowed              the caller may not do this

The docstring of a class is its message; a subclass says more in its arguments. None carries a CPR number
or clinical text.
"""

from __future__ import annotations

from gtgateway.model.acknowledgement import Reply


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


class SendAgain(GatewayError):
    """The message could not be kept; the answer asks to send it again."""

    def __init__(self, reply: Reply) -> None:
        self.reply = reply
        super().__init__()
