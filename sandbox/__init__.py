"""A Kustomer to try and test against."""

from sandbox.data import LISTS
from sandbox.messages import EVERY_ROLE, ROLES, Key, Reply, Request
from sandbox.server import Sandbox
from sandbox.switches import SWITCHES, Switches

__all__ = [
    "EVERY_ROLE",
    "LISTS",
    "ROLES",
    "SWITCHES",
    "Key",
    "Reply",
    "Request",
    "Sandbox",
    "Switches",
]
