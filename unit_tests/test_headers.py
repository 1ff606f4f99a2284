"""What rate-limit headers say."""

import pytest

from source_kustomer.api.headers import RateHeaders

NOW = 1767225600.0


def parsed(**headers: object) -> RateHeaders:
    """Parse headers that are named with underscores, without the prefix of the limit's."""
    names = {"limit": "x-ratelimit-limit", "remaining": "x-ratelimit-remaining"}
    names |= {"reset": "x-ratelimit-reset", "retry_after": "retry-after"}
    return RateHeaders.parse({names[name]: str(v) for name, v in headers.items()}, NOW)


@pytest.mark.parametrize(
    ("text", "limit", "remaining"),
    [("300", 300, 300), ("1", 1, 1), ("999999999", 999999999, 999999999), ("0", None, 0)]
    + [(text, None, None) for text in ("", "x", "-1", "1.5", "٣", "9" * 10, "9" * 5000, "3;w=60")],
)
def test_a_limit_and_what_remains_are_whole_numbers_and_a_limit_of_nothing_is_none(
    text: str, limit: int | None, remaining: int | None
) -> None:
    assert parsed(limit=text, remaining=text) == RateHeaders(limit, remaining, None)


@pytest.mark.parametrize("name", ["reset", "retry_after"])
@pytest.mark.parametrize(
    ("text", "wait"),
    [
        pytest.param("1.5", 1.5, id="part of a second"),
        pytest.param("0", 0, id="now"),
        pytest.param("86400", 86400, id="a day"),
        pytest.param("1767225630.5", 30.5, id="epoch seconds"),
        pytest.param("1767312000", 86400, id="a day ahead"),
        pytest.param("Thu, 01 Jan 2026 00:01:40 GMT", 100, id="HTTP date"),
        pytest.param("Wed, 31 Dec 2025 23:00:00 GMT", None, id="past HTTP date"),
        pytest.param("Fri, 31 Dec 9999 23:59:59 -0000", None, id="date out of range"),
        pytest.param("1767312001", None, id="more than a day ahead"),
        pytest.param("1767225000", None, id="past epoch seconds"),
        pytest.param("1767225630500", None, id="milliseconds"),
        pytest.param("2026-01-01T00:00:30Z", None, id="ISO"),
        pytest.param("", None, id="empty"),
        pytest.param("-0.5", None, id="negative"),
        pytest.param("nan", None, id="not a number"),
    ],
)
def test_a_wait_is_read_in_seconds_or_until_a_moment(
    name: str, text: str, wait: float | None
) -> None:
    assert parsed(**{name: text}).wait == wait


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"reset": 30, "remaining": 0}, 30),
        ({"reset": 30, "remaining": 1}, None),
        ({"reset": 30, "remaining": 1, "retry_after": 4}, 4),
        ({"reset": 30, "retry_after": 4}, 30),
        ({"reset": 3, "retry_after": 4}, 4),
        ({"reset": "soon", "retry_after": 4}, 4),
    ],
)
def test_the_longer_wait_counts_and_a_reset_only_where_nothing_remains(
    headers: dict[str, object], wait: float | None
) -> None:
    assert parsed(**headers).wait == wait
