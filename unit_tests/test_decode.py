"""Bytes become JSON: no digit and no page is lost where a server writes it oddly."""

import json
import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_kustomer.api.decode import decode

# What every parser of JSON understands in the same way.
ORDINARY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(document=ORDINARY, is_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_ordinary_json_is_what_every_parser_makes_of_it(
    *, document: Any, is_ascii: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=is_ascii, indent=indent)
    assert decode(body.encode()) == json.loads(body)
    # The same beside a number that takes the other way.
    both = decode(f"[{body}, 1e999]".encode())
    assert both == [json.loads(body), "1e999"]


DIGITS = "1234567890" * 440

NUMBERS = {
    "64 bits": ("9223372036854775807", 2**63 - 1),
    "64 bits, negative": ("-9223372036854775808", -(2**63)),
    "one more than 64 bits": ("9223372036854775808", "9223372036854775808"),
    "one less than 64 bits": ("-9223372036854775809", "-9223372036854775809"),
    "30 digits": (DIGITS[:30], DIGITS[:30]),
    "400 digits": (DIGITS[:400], DIGITS[:400]),
    "4,400 digits": (DIGITS, DIGITS),
    "-4,400 digits": (f"-{DIGITS}", f"-{DIGITS}"),
    "beyond floats": ("-2.5e400", "-2.5e400"),
    "beyond floats, capital": ("1E999", "1E999"),
    "17 digits": ("0.30000000000000004", 0.30000000000000004),
    "17 digits, tiny": ("-0.00012345678901234567E-05", -0.00012345678901234567e-05),
    # What a float rounds in its last places is still the number that it was.
    "18 digits": ("1234567890.12345678", 1234567890.12345678),
    "18 digits after zeros": ("0.00123456789012345678", "0.00123456789012345678"),
    "40 digits with a point": (
        "-12345678901234567890.12345678901234567891",
        "-12345678901234567890.12345678901234567891",
    ),
    "zeros that tell nothing": ("1.500000000000000000000000", 1.5),
    "exponent": ("1.2345678901234567890e5", "1.2345678901234567890e5"),
}


@pytest.mark.parametrize("around", ['{"a":%s}', '{"b": 0, "a"  :\n %s }', '{"b": 1e999, "a": %s}'])
@pytest.mark.parametrize(("number", "value"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_keeps_its_digits_as_text_where_nothing_else_holds_them(
    around: str, number: str, value: object
) -> None:
    read = decode((around % number).encode())["a"]
    assert (type(read), read) == (type(value), value)
    assert decode((around % f"[0, {number}]").encode())["a"] == [0, value]


def test_digits_in_text_are_left_alone() -> None:
    document = {"phone": f", {DIGITS[:40]}", DIGITS[:25]: [f"x: {DIGITS}", 1.5, 10**15]}
    assert decode(json.dumps(document).encode()) == document


@pytest.mark.parametrize(
    ("body", "document"),
    [
        (b"null", None),
        (b' {"a": 1}\n', {"a": 1}),
        (b'{"a": "one\ttwo\nthree\x00\x1f"}', {"a": "one\ttwo\nthree\x00\x1f"}),
        (b'{"a": "\\ud83d\\ude00 \\ude00"}', {"a": "\U0001f600 ?"}),
        ('{"caf\u00e9": "caf\u00e9 \\ud83d"}'.encode(), {"caf\u00e9": "caf\u00e9 ?"}),
        (b'{"\\udc00": 1}', {"?": 1}),
        (b"[NaN, Infinity, -Infinity]", ["NaN", "Infinity", "-Infinity"]),
        (b'{"a": "' + "\U0001f600".encode()[:3] + b'"}', {"a": "\ufffd"}),
        (b'["\xff\xfe", "caf\xc3\xa9"]', ["\ufffd\ufffd", "caf\u00e9"]),
    ],
    ids=[
        *("null", "blanks", "control characters", "half a pair", "cut pair", "name", "constants"),
        *("cut UTF-8", "not UTF-8"),
    ],
)
def test_what_only_a_strict_parser_refuses_is_read(body: bytes, document: object) -> None:
    assert decode(body) == document


@pytest.mark.parametrize(
    ("body", "warnings"), [(b'["\xff"]', 1), (b'["\\ud83d\t", 1e999]', 0), (b'["\xc3\xa9"]', 0)]
)
def test_bytes_that_are_not_utf_8_are_warned_of(
    caplog: pytest.LogCaptureFixture, body: bytes, warnings: int
) -> None:
    with caplog.at_level(logging.DEBUG):
        decode(body)
    assert [record.levelname for record in caplog.records] == ["WARNING"] * warnings
    assert ("U+FFFD" in caplog.text) == bool(warnings)


@pytest.mark.parametrize("body", [b"[" * 200 + b"]" * 200, b"[" * 199 + b"[1e999]" + b"]" * 199])
def test_what_is_nested_200_deep_is_read(body: bytes) -> None:
    nested = decode(body)
    for _ in range(199):
        (nested,) = nested
    assert nested in ([], ["1e999"])


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"{",
        b'{"data": [1, ',
        b"{'a': 1}",
        b'{"a": 1,}',
        b"{} {}",
        b"<html>",
        b"\xff\xfe",
        b"[01]",
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b"[1e999," + b"[" * 100_000 + b"]" * 100_000 + b"]",
        b"[1e999," + b"[" * 1500 + b"]" * 1500 + b"]",
    ],
    ids=lambda body: f"{body[:14]!r} {len(body)}",
)
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(body)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert decode(b'\xef\xbb\xbf{"data": []}') == {"data": []}
