"""Several requests at once, on threads that do not keep the process from ending."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Value = TypeVar("Value")


def start(function: Callable[[], Value]) -> Future[Value]:
    """Run a function on a thread, or at once where the machine lets no more threads start."""
    future = start_if_possible(function)
    if future is None:
        future = Future()
        _run(function, future)
    return future


def start_if_possible(function: Callable[[], Value]) -> Future[Value] | None:
    """Run a function on a thread, None where the machine lets no more threads start."""
    future = Future[Value]()
    try:
        threading.Thread(target=_run, args=(function, future), daemon=True).start()
    except RuntimeError:
        return None
    return future


def _run(function: Callable[[], Value], future: Future[Value]) -> None:
    try:
        future.set_result(function())
    except Exception as e:  # noqa: BLE001
        future.set_exception(e)
