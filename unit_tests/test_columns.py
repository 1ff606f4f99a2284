"""Custom attributes become typed columns, whose names no destination confuses."""

import re
import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from source_kustomer.columns import Column, columns_of_metadata, columns_of_values, distinct
from source_kustomer.conversion import conversion

TEXT = {"type": ["null", "string"]}
NUMBER = {"type": ["null", "number"]}
BOOLEAN = {"type": ["null", "boolean"]}
TIME = {
    "type": ["null", "string"],
    "format": "date-time",
    "airbyte_type": "timestamp_with_timezone",
}
OBJECT = {"type": ["null", "object"], "additionalProperties": True}

BY_NAME = {
    "tierStr": TEXT,
    "noteTxt": TEXT,
    "siteUrl": TEXT,
    "orderId": TEXT,
    "reasonTree": TEXT,
    "valueNum": NUMBER,
    "renewalAt": TIME,
    "vipBool": BOOLEAN,
    "Str": TEXT,
    "numStr": TEXT,
}
UNTYPED = ("paid", "flat", "quantum", "Number", "")


def many(item: Column) -> Column:
    return {"type": ["null", "array"], "items": item}


def forms(columns: Mapping[str, Column]) -> dict[str, Column]:
    """Return the columns without their descriptions."""
    return {
        name: {key: value for key, value in column.items() if key != "description"}
        for name, column in columns.items()
    }


def test_a_column_has_the_type_that_the_end_of_its_name_says() -> None:
    names = (*BY_NAME, *UNTYPED)
    # What else the metadata or the values say counts for other names only.
    for other, definition, value in ((OBJECT, {"type": "object"}, {"a": 1}), (TEXT, {}, 5)):
        expected = {**BY_NAME, **dict.fromkeys(UNTYPED, other)}
        assert forms(columns_of_metadata(dict.fromkeys(names, definition))) == expected
        assert forms(columns_of_values({name: [value] for name in names})) == expected


DEFINED: list[tuple[str, Column, list[object]]] = [
    ("aStr", many(TEXT), [{"multi": True}, {"array": True}]),
    ("aStr", TEXT, [{"multi": False, "array": False}, {"multi": "true", "array": 1}]),
    ("aNum", many(NUMBER), [{"multi": True, "array": False}]),
    ("aAt", many(TIME), [{"array": True}]),
    ("a", many(OBJECT), [{"type": "object", "multi": True}]),
    ("a", TEXT, [{"type": "string"}, {"type": ["object"]}, {"deletedAt": ""}, None, "odd", []]),
]


@pytest.mark.parametrize(("name", "form", "definitions"), DEFINED)
def test_the_metadata_say_what_is_an_array_or_an_object(
    name: str, form: Column, definitions: list[object]
) -> None:
    found = [forms(columns_of_metadata({name: definition})) for definition in definitions]
    assert found == [{name: form}] * len(definitions)


def test_deleted_attributes_have_no_column() -> None:
    assert columns_of_metadata({"goneStr": {"deletedAt": "2020-01-01T00:00:00Z"}}) == {}


SAMPLED: list[tuple[Column, list[list[object]]]] = [
    (TEXT, [[None], ["a"], [5], [{"street": "x"}, "a"]]),
    (OBJECT, [[{"street": "x"}, None, {}]]),
    (many(TEXT), [[["a"]], [[]], [[], ["a"]], [["a"], "b"], ["a", None, ["b"]], [["a"], {}]]),
    # One odd value among others makes no array.
    (TEXT, [["a", "b", ["c"]], ["a", "b", [], None]]),
    (many(OBJECT), [[[{"street": "x"}, {}]]]),
    (many(TEXT), [[[{"street": "x"}, 5]]]),
]


@pytest.mark.parametrize(("form", "samples"), SAMPLED)
def test_values_say_what_is_an_array_or_an_object(
    form: Column, samples: list[list[object]]
) -> None:
    number = many(NUMBER) if "items" in form else NUMBER
    found = [forms(columns_of_values({"a": values, "aNum": values})) for values in samples]
    assert found == [{"a": form, "aNum": number}] * len(samples)


@pytest.mark.parametrize(
    ("definition", "beginning"),
    [
        ({"displayName": '{x} %s "مرحبا'}, '{x} %s "مرحبا: the'),
        ({"displayName": "  "}, "The"),
        ({"displayName": 5}, "The"),
        ({}, "The"),
    ],
)
def test_a_column_is_described_by_its_label(definition: object, beginning: str) -> None:
    (column,) = columns_of_metadata({"tierStr": definition}).values()
    assert column["description"] == f"{beginning} custom attribute tierStr of Kustomer."
    assert next(iter(column)) == "description"
    assert columns_of_values({"tierStr": []}) == columns_of_metadata({"tierStr": {}})


def as_pyairbyte(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", name.lower())


def as_airbyte(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name)
    plain = [c for c in letters if unicodedata.category(c) not in {"Mn", "Mc", "Me"}]
    return re.sub(r"[^A-Za-z0-9_]", "_", "".join(plain)).lower()


ALIKE = st.text(st.sampled_from("aA_.-ßöo\u0308割税ＡＫＫéeの"), min_size=1, max_size=3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sets(ALIKE | ALIKE.map(lambda end: "x" * 54 + end), max_size=6))
def test_no_destination_confuses_two_columns_and_each_attribute_is_one_or_warned_of(
    caplog: pytest.LogCaptureFixture, names: set[str]
) -> None:
    caplog.clear()
    kept = distinct(dict.fromkeys(names, TEXT), "customers")
    for stored in (as_pyairbyte, as_airbyte):
        assert len({stored(name)[:63] for name in kept}) == len(kept)
    lost = [name for name in sorted(names) if f"custom_{name}" not in kept]
    told = [re.findall(r"custom_(\S+) under", message) for message in caplog.messages]
    assert told == [[name] for name in lost]


LONG = "x" * 53 + "Str"
CONFUSED = {
    "case": ("VIPBool", "vipBool"),
    "sign": ("a.bStr", "a_bStr"),
    "case and sign": ("FOO barStr", "foo.barStr"),
    "letters that are not ASCII": ("割合Num", "税率Num"),
    "letters as underscores": ("gr__eStr", "größeStr"),
    "letters without accents": ("cafeStr", "caféStr"),
    "width": ("AStr", "ＡStr"),
    "cut off": (f"{LONG}A", f"{LONG}B"),
}


@pytest.mark.parametrize(("first", "other"), CONFUSED.values(), ids=CONFUSED)
def test_of_attributes_that_a_destination_confuses_one_has_a_column_and_both_are_named(
    caplog: pytest.LogCaptureFixture, first: str, other: str
) -> None:
    columns: dict[str, Column] = {other: TEXT, first: NUMBER, "tierStr": TEXT}
    found = distinct(columns, "customers")
    assert found == {f"custom_{first}": NUMBER, "custom_tierStr": TEXT}
    (warning,) = caplog.messages
    assert warning.startswith("customers: destinations store the columns ")
    assert f"columns custom_{first} and custom_{other} under the same name" in warning


def test_columns_come_in_the_order_of_their_names_which_may_differ_at_the_63rd_character(
    caplog: pytest.LogCaptureFixture,
) -> None:
    names = ["aStr", f"{LONG[1:]}A", f"{LONG[1:]}B", "zNum"]
    found = distinct({name: {"type": name} for name in [*reversed(names), ""]}, "customers")
    assert [*found.items()] == [(f"custom_{name}", {"type": name}) for name in names]
    assert caplog.messages == []


def test_records_know_how_to_fill_every_column() -> None:
    at = "2020-01-01T00:00:00Z"
    fitting = {"aStr": "text", "aNum": 5, "aAt": at, "aBool": True, "a": "text"}
    for is_array in (False, True):
        columns = columns_of_metadata({name: {"multi": is_array} for name in fitting})
        for name, item in fitting.items():
            convert, value = conversion(columns[name]), [item] if is_array else item
            assert convert(value) == value, name
            assert convert({}) is None, name
