"""A Kustomer to try and test against."""

from sandbox.data import LISTS
from sandbox.server import EVERY_ROLE, ROLES, Key, Reply, Request, Sandbox

__all__ = ["EVERY_ROLE", "LISTS", "ROLES", "Key", "Reply", "Request", "Sandbox"]
