"""Several requests at once."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

Value = TypeVar("Value")


def start(function: Callable[[], Value]) -> Future[Value]:
    """Run a function on a thread, which does not keep the process from ending."""
    future = Future[Value]()

    def work() -> None:
        try:
            future.set_result(function())
        except Exception as e:  # noqa: BLE001
            future.set_exception(e)

    threading.Thread(target=work, daemon=True).start()
    return future
