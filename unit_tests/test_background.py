"""Functions that run on threads of their own."""

import threading

import pytest

from source_kustomer.api import background


def test_what_a_function_returns_or_raises_is_handed_over() -> None:
    assert background.start(lambda: 5).result(10) == 5
    with pytest.raises(ZeroDivisionError):
        background.start(lambda: 1 / 0).result(10)


def test_a_thread_does_not_keep_the_process_from_ending() -> None:
    thread = background.start(threading.current_thread).result(10)
    assert thread.daemon
    assert thread is not threading.current_thread()


def test_where_no_thread_can_start_a_function_runs_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert background.start(threading.current_thread).result(0) is threading.current_thread()
    with pytest.raises(ZeroDivisionError):
        background.start(lambda: 1 / 0).result(0)
    assert background.start_if_possible(threading.current_thread) is None
