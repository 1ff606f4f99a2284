"""Bytes become JSON: no digit and no page is lost where a server writes it oddly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from source_kustomer.api.decode import decode

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]))

# What every parser of JSON understands in the same way.
ORDINARY = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(document=ORDINARY, is_ascii=st.booleans(), indent=st.sampled_from([None, 1]))
def test_ordinary_json_is_what_every_parser_makes_of_it(
    *, document: Any, is_ascii: bool, indent: int | None
) -> None:
    body = json.dumps(document, ensure_ascii=is_ascii, indent=indent)
    assert decode(body.encode()) == json.loads(body)
    # The same beside a number that takes the other way.
    assert decode(f"[{body}, 1e999]".encode()) == [json.loads(body), "1e999"]


DIGITS = "1234567890" * 440

NUMBERS = {
    "64 bits": ("9223372036854775807", 2**63 - 1),
    "64 bits, negative": ("-9223372036854775808", -(2**63)),
    "one more than 64 bits": ("9223372036854775808", "9223372036854775808"),
    "one less than 64 bits": ("-9223372036854775809", "-9223372036854775809"),
    "20 digits": (DIGITS[:20], DIGITS[:20]),
    "4,400 digits": (f"-{DIGITS}", f"-{DIGITS}"),
    "beyond floats": ("-2.5e400", "-2.5e400"),
    "beyond floats, long": (f"{DIGITS}.5", f"{DIGITS}.5"),
    "17 digits": ("0.30000000000000004", 0.30000000000000004),
    "a float of many digits": ("1.500000000000000000000000", 1.5),
}


@pytest.mark.parametrize("around", ['{"a":%s}', '{"b": 0, "a"  :\n %s }', '{"b": 1e999, "a": %s}'])
@pytest.mark.parametrize(("number", "value"), NUMBERS.values(), ids=NUMBERS)
def test_a_number_keeps_its_digits_as_text_where_neither_64_bits_nor_a_float_hold_it(
    around: str, number: str, value: object
) -> None:
    read = decode((around % number).encode())["a"]
    assert (type(read), read) == (type(value), value)
    assert decode((around % f"[0, {number}]").encode())["a"] == [0, value]


def test_digits_in_text_are_left_alone() -> None:
    document = {"phone": f", {DIGITS[:40]}", DIGITS[:25]: [f"x: {DIGITS}", 1.5, 10**15]}
    assert decode(json.dumps(document).encode()) == document


READ: dict[str, tuple[bytes, object]] = {
    "null": (b"null", None),
    "spaces": (b' {"a": 1}\n', {"a": 1}),
    "byte order mark": (b'\xef\xbb\xbf{"data": []}', {"data": []}),
    "control characters": (b'["one\ttwo\nthree\x1f"]', ["one\ttwo\nthree\x1f"]),
    "raw U+0000": (b'{"a\x00b": "\x00c"}', {"ab": "c"}),
    "escaped U+0000": (rb'{"a\u0000b": ["\u0000\u0000c"]}', {"ab": ["c"]}),
    "escaped backslash": (rb'["\\u0000 \\\u0000 \\\\u0000"]', [r"\u0000 \ \\u0000"]),
    "escaped backslash, lone surrogate": (rb'["\\ud83d \\\ud83d"]', ["\\ud83d \\\ufffd"]),
    "pair, half a pair": (rb'["\ud83d\ude00 \ude00 \ud83d"]', ["\U0001f600 \ufffd \ufffd"]),
    "pair beside U+0000": (rb'["\uD83D\uDE00\u0000\ud83d"]', ["\U0001f600\ufffd"]),
    "half a pair in a name": (rb'{"\udc00": 1}', {"\ufffd": 1}),
    "constants": (b"[NaN, Infinity, -Infinity]", ["NaN", "Infinity", "-Infinity"]),
    "not UTF-8": (b'["\xff\xfe", "caf\xc3\xa9"]', ["\ufffd\ufffd", "caf\u00e9"]),
    "cut UTF-8": (b'["' + "\U0001f600".encode()[:3] + b'"]', ["\ufffd"]),
}  # fmt: skip


@pytest.mark.parametrize("other", [b"0", b"1e999"], ids=["alone", "beside an odd number"])
@pytest.mark.parametrize(("body", "document"), READ.values(), ids=READ)
def test_what_a_strict_parser_refuses_or_no_database_takes_is_read(
    caplog: pytest.LogCaptureFixture, body: bytes, document: object, other: bytes
) -> None:
    assert decode(body) == document
    body = body.removeprefix(b"\xef\xbb\xbf")
    assert decode(b"[" + body + b", " + other + b"]")[0] == document
    is_utf_8 = body.decode(errors="ignore").encode() == body
    assert {r.levelname for r in caplog.records} == (set() if is_utf_8 else {"WARNING"})
    assert ("U+FFFD" in caplog.text) != is_utf_8


@pytest.mark.parametrize("body", [b"[" * 200 + b"]" * 200, b"[" * 199 + b"[1e999]" + b"]" * 199])
def test_what_is_nested_200_deep_is_read(body: bytes) -> None:
    nested = decode(body)
    for _ in range(199):
        (nested,) = nested
    assert nested in ([], ["1e999"])


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b" ", b"{", b'{"data": [1, ', b"{'a': 1}", b'{"a": 1,}', b"{} {}", b"<html>"),
        *(b"\xff\xfe", b"[01]", b"[1e999", b"[" * 100_000),
        b"[" * 100_000 + b"]" * 100_000,
        b"[1e999," + b"[" * 100_000 + b"]" * 100_000 + b"]",
    ],
    ids=lambda body: f"{body[:14]!r} {len(body)}",
)
def test_what_is_no_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(body)
