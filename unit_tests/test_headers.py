"""What rate-limit headers say, whichever clock is wrong."""

import time
from email.utils import formatdate

import pytest

from source_kustomer.api.headers import RateHeaders

NOW = 1767225600.0
HOUR = 3600
DAY = 24 * HOUR


def parsed(**headers: object) -> RateHeaders:
    """Parse headers that are named with underscores, without the prefix of the limit's."""
    names = {"limit": "x-ratelimit-limit", "remaining": "x-ratelimit-remaining"}
    names |= {"reset": "x-ratelimit-reset", "retry_after": "retry-after"}
    return RateHeaders.parse({names.get(k, k): str(v) for k, v in headers.items()}, NOW)


def http(moment: float) -> str:
    return formatdate(moment, usegmt=True)


def test_without_headers_nothing_is_known() -> None:
    assert parsed() == RateHeaders(None, None, None) == RateHeaders()


@pytest.mark.parametrize(
    ("text", "number"),
    [("300", 300), (" 40 ", 40), ("1", 1), ("999999999", 999999999)]
    + [(text, None) for text in ("", "x", "-1", "1.5", "1e9", "nan", "٣", "9" * 10, "9" * 300)]
    + [("300, 300;w=60", None), ("3 0", None)],
)
def test_a_limit_and_what_remains_are_whole_numbers(text: str, number: int | None) -> None:
    headers = parsed(limit=text, remaining=text)
    assert headers.limit == number
    assert headers.remaining == number


def test_nothing_may_remain_but_a_limit_of_nothing_is_none() -> None:
    assert parsed(limit=0, remaining=0) == RateHeaders(None, 0, None)


@pytest.mark.parametrize("name", ["reset", "retry_after"])
@pytest.mark.parametrize(
    ("text", "wait"),
    [
        pytest.param("7", 7, id="seconds"),
        pytest.param("1.5", 1.5, id="part of a second"),
        pytest.param("0", 0, id="now"),
        pytest.param(" 20 ", 20, id="spaces"),
        pytest.param("700", 700, id="long"),
        pytest.param("86400", DAY, id="a day"),
        pytest.param("2678400", 31 * DAY, id="a month"),
        pytest.param("1767225630", 30, id="epoch seconds"),
        pytest.param("1767225630.5", 30.5, id="epoch with a part of a second"),
        pytest.param("1767225630500", 30.5, id="epoch milliseconds"),
        pytest.param("1767229200", HOUR, id="an hour ahead"),
        pytest.param("1767312000", DAY, id="a day ahead"),
        pytest.param("1767225000", 0, id="past epoch"),
        pytest.param("Thu, 01 Jan 2026 00:01:40 GMT", 100, id="HTTP date"),
        pytest.param("Wed, 31 Dec 2025 23:00:00 GMT", 0, id="past HTTP date"),
        pytest.param("2026-01-01T00:00:30Z", 30, id="ISO"),
        pytest.param("2026-01-01T00:00:30.250Z", 30.25, id="ISO with milliseconds"),
        pytest.param("2026-01-01T01:00:30+01:00", 30, id="ISO with an offset"),
        pytest.param("2026-01-01T00:00:30", 30, id="ISO without an offset"),
        pytest.param("", None, id="empty"),
        pytest.param("soon", None, id="text"),
        pytest.param("-20", None, id="negative"),
        pytest.param("nan", None, id="not a number"),
        pytest.param("1e5", None, id="scientific"),
        pytest.param("٣", None, id="other digits"),
        pytest.param("1" + "0" * 300, None, id="absurd"),
        pytest.param("99999999999", None, id="epoch in 5138"),
        pytest.param("999999999999999", None, id="milliseconds in 33658"),
        pytest.param("1769904000", 31 * DAY, id="a month ahead"),
        pytest.param("1769904001", None, id="more than a month ahead"),
        pytest.param("Thu, 99 Jan 2026 00:01:40 GMT", None, id="no date"),
        pytest.param("2026-13-01T00:00:30Z", None, id="no ISO date"),
    ],
)
def test_a_wait_is_read_in_any_form(name: str, text: str, wait: float | None) -> None:
    assert parsed(**{name: text}).wait == wait


@pytest.mark.parametrize(
    ("remaining", "wait"), [(None, 30), (0, 30), ("x", 30), (1, None), (7, None)]
)
def test_a_reset_counts_only_where_nothing_remains(remaining: object, wait: float | None) -> None:
    headers = {} if remaining is None else {"remaining": remaining}
    assert parsed(reset=30, **headers).wait == wait
    assert parsed(retry_after=4, reset=2, **headers).wait == 4


@pytest.mark.parametrize(
    ("retry_after", "reset", "wait"),
    [("40", "30", 40), ("40", "50", 50), ("soon", "7", 7), ("40", "soon", 40), ("x", "x", None)],
)
def test_the_longer_wait_counts(retry_after: str, reset: str, wait: float | None) -> None:
    assert parsed(retry_after=retry_after, reset=reset).wait == wait


@pytest.mark.parametrize("wait", [3, 30, 700, HOUR])
@pytest.mark.parametrize(
    ("date_off", "moment_off"),
    [
        pytest.param(0, 0, id="all clocks are right"),
        pytest.param(DAY, DAY, id="the server's clock is a day ahead"),
        pytest.param(-DAY, -DAY, id="the server's clock is a day behind"),
        pytest.param(300, 300, id="the local clock is minutes behind"),
        pytest.param(-300, -300, id="the local clock is minutes ahead"),
        pytest.param(DAY, 0, id="only Date is a day ahead"),
        pytest.param(-DAY, 0, id="only Date is a day behind"),
        pytest.param(10 * DAY, 0, id="only Date is days ahead"),
    ],
)
def test_the_clock_that_a_moment_fits_tells_the_wait(
    date_off: int, moment_off: int, wait: int
) -> None:
    date, moment = http(NOW + date_off), NOW + moment_off + wait
    assert parsed(date=date, reset=int(moment)).wait == wait
    assert parsed(date=date, retry_after=http(moment)).wait == wait
    assert parsed(date=date, retry_after=wait).wait == wait


@pytest.mark.parametrize(
    ("date_off", "moment_off", "wait"),
    [
        pytest.param(-7 * HOUR, 3 * HOUR, 3 * HOUR, id="both long: the shorter"),
        pytest.param(-2 * HOUR, 5 * HOUR, 5 * HOUR, id="both long: the shorter, not Date's"),
        pytest.param(5 * HOUR, 8 * HOUR, 3 * HOUR, id="both long: the shorter, Date's"),
        pytest.param(DAY, -60, 0, id="past by both"),
        pytest.param(-HOUR - 1, 0, 0, id="local, because Date's is implausible"),
        pytest.param(-HOUR, 0, HOUR, id="Date's, which is just plausible"),
    ],
)
def test_where_both_clocks_are_doubtful_the_shorter_wait_counts(
    date_off: int, moment_off: int, wait: int
) -> None:
    headers = parsed(date=http(NOW + date_off), reset=int(NOW + moment_off))
    assert headers.wait == wait


@pytest.mark.parametrize("date", ["today", "", "1767225600"])
def test_a_date_that_is_none_leaves_the_local_clock(date: str) -> None:
    assert parsed(date=date, reset=1767225630).wait == 30


def test_a_time_without_an_offset_is_utc_wherever_the_connector_runs(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    request.addfinalizer(time.tzset)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        assert parsed(reset="2026-01-01T00:00:30").wait == 30
