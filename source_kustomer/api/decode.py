"""Bytes to JSON: strictly where that succeeds, leniently where it does not."""

import json
import logging
import math
import re
from typing import Any

import orjson

from source_kustomer.conversion import without_nul

# Significant digits with which every float is written.
_FLOAT_DIGITS = 17

# What 64 bits hold.
_INTEGERS = range(-(2**63), 2**63)
_MOST_CHARACTERS = len(str(_INTEGERS.start))

# orjson turns longer whole numbers into floats, which lose digits.
_LONG_DIGITS = re.compile(r"[0-9]{19}")
_LONG_NUMBER = re.compile(rb"[:,\[]\s*-?[0-9.]{19}")

# Searching for the expression takes a third of the time of parsing. What looks like such a number,
# once digits and what stands before numbers are each one character, is found in much less.
_BEFORE, _DIGIT = b",", b"0"
_SHAPES = bytes.maketrans(
    b":[- \t\r\n.123456789", b"".join((_BEFORE * len(b":[- \t\r\n"), _DIGIT * len(b".123456789")))
)
_LONG_SHAPE = _BEFORE + 19 * _DIGIT

logger = logging.getLogger("airbyte.source_kustomer")


def decode(body: bytes) -> Any:
    """Parse JSON, without U+0000; raises `ValueError`.

    A number that has 19 digits in a row or more, and that neither 64 bits nor a float hold with all
    of them, is returned as text.
    """
    body = without_nul(body)
    if _LONG_SHAPE in body.translate(_SHAPES) and _LONG_NUMBER.search(body):
        return _lenient(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        # Valid to most servers but not to orjson: a text that was cut in the middle of an emoji, a
        # number that no float holds, control characters in text.
        return _lenient(body)


def _lenient(body: bytes) -> Any:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
        logger.warning(
            "A response holds bytes that are not UTF-8; each is replaced by the character U+FFFD."
        )
    try:
        document = json.loads(
            text, strict=False, parse_int=_whole, parse_float=_decimal, parse_constant=str
        )
        # Half of a surrogate pair cannot be written as UTF-8.
        return orjson.loads(json.dumps(document, ensure_ascii=False).encode(errors="replace"))
    except RecursionError as e:
        raise ValueError("nested too deeply") from e


def _whole(digits: str) -> int | str:
    # Python converts no number of more than 4,300 digits.
    if len(digits) > _MOST_CHARACTERS:
        return digits
    value = int(digits)
    return value if value in _INTEGERS else digits


def _decimal(number: str) -> float | str:
    value, digits = float(number), re.sub(r"[eE].*|\D", "", number).strip("0")
    is_long = len(digits) > _FLOAT_DIGITS and _LONG_DIGITS.search(number) is not None
    return number if is_long or math.isinf(value) else value
