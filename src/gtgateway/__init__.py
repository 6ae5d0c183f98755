"""gtgateway: a gateway for Danish rehabilitation plans (genoptræningsplaner, GOP)."""

from importlib.metadata import version

__version__ = version("gtgateway")
