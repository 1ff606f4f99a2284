"""Bytes to JSON: strictly where that succeeds, leniently where it does not."""

import json
import logging
import math
import re
from typing import Any

import orjson

# As many digits as 2**63 has, and not an identifier, which is text. orjson reads whole numbers
# up to 2**64 and makes floats of longer ones. Where every digit is a 0, and all that stands before
# a number a comma, they are found ten times as fast as by an expression.
_LONG_NUMBER = b"," + b"0" * 19
_SHAPES = bytes.maketrans(b"123456789:[- \t\r\n", b"000000000,,,,,,,")

# No database takes U+0000 in text, and UTF-8 has no half of a surrogate pair, as a text has that
# was cut in the middle of an emoji. The group takes what is right out of the way.
_ESCAPES = re.compile(
    r"(\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    r"|\\u0000|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\x00"
)

# What 64 bits hold.
_INTEGERS = range(-(2**63), 2**63)

logger = logging.getLogger("airbyte.source_kustomer")


def decode(body: bytes) -> Any:
    """Parse JSON; raises `ValueError`.

    Text is without U+0000, and a number that neither 64 bits nor a float hold is returned as text.
    """
    if b"\\u0000" not in body and _LONG_NUMBER not in body.translate(_SHAPES):
        try:
            return orjson.loads(body)
        except orjson.JSONDecodeError:
            pass
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = body.decode(errors="replace")
        logger.warning("A response is not UTF-8: what cannot be read is replaced by U+FFFD.")
    try:
        return json.loads(
            _ESCAPES.sub(_replaced, text),
            strict=False,
            parse_int=_int,
            parse_float=_float,
            parse_constant=str,
        )
    except RecursionError as e:
        raise ValueError("nested too deeply") from e


def _replaced(found: re.Match[str]) -> str:
    is_nul = found[0] in {"\\u0000", "\x00"}
    return found[1] or ("" if is_nul else "\N{REPLACEMENT CHARACTER}")


def _int(number: str) -> int | str:
    # Python refuses to read thousands of digits.
    is_short = len(number) <= len("-") + len(_LONG_NUMBER)
    return int(number) if is_short and int(number) in _INTEGERS else number


def _float(number: str) -> float | str:
    return float(number) if math.isfinite(float(number)) else number
