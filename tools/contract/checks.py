"""The checks, by the number of their quirk in CONTRIBUTING: what is expected is data."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from sandbox import LISTS
from tools.contract import lists, records, responses
from tools.contract.asking import NotObservable, Reading, Readings, Record, Seen, object_in
from tools.contract.observations import CAP, TOO_LARGE, ListSeen, Observations

Look = Callable[[Observations], Reading | Readings]

# In the order of the report.
VERDICTS = ("failed", "different", "open question answered", "not observable", "same")
FAILED, DIFFERENT, ANSWERED, NOT_OBSERVABLE, SAME = VERDICTS


@dataclass(frozen=True)
class Check:
    """One thing that the connector takes for granted, by the number of its quirk.

    `expected` holds values by subject, or by "*" for all others; where there are none, every
    value is an answer. `switches` are the sandbox's that replay a value.
    """

    quirk: int
    title: str
    expected: Mapping[str, Collection[str]]
    look: Look
    is_open: bool = False
    switches: Mapping[str, str] = field(default_factory=dict)


# What nobody could look at yet: every answer is one to an open question.
_guess = partial(Check, is_open=True)


class Row:
    """A check and what it read; `failure` names the error that kept it from reading."""

    def __init__(self, check: Check, observations: Observations) -> None:
        self.check, self.failure = check, ""
        readings: Readings = {}
        try:
            found = check.look(observations)
            readings = found if isinstance(found, Mapping) else {"": found}
        except Exception as e:  # noqa: BLE001
            # The other checks stand.
            self.failure = type(e).__name__
        self.seen = {name: r for name, r in readings.items() if isinstance(r, Seen)}
        self.unseen = {name: r for name, r in readings.items() if isinstance(r, NotObservable)}

    @property
    def is_expected(self) -> bool:
        expected = self.check.expected
        return all(
            seen.value in expected.get(name, expected.get("*", (seen.value,)))
            for name, seen in self.seen.items()
        )

    @property
    def verdict(self) -> str:
        if self.failure or not self.seen:
            return FAILED if self.failure else NOT_OBSERVABLE
        return ANSWERED if self.check.is_open else SAME if self.is_expected else DIFFERENT


def _by_list(look: Callable[[ListSeen], Reading], *, needs_records: bool = False) -> Look:
    """Read every list that opened; of the others it says why they did not."""

    def reading(seen: ListSeen) -> Reading:
        if not seen.first.is_ok:
            return seen.first.unread
        is_empty = needs_records and not seen.size
        return NotObservable("it is empty", "a list with records") if is_empty else look(seen)

    return lambda seen: {name: reading(each) for name, each in seen.lists.items()}


_by_record = partial(_by_list, needs_records=True)


def _names(pick: Callable[[str, Record], records.Named], needed: str = "") -> Look:
    return _by_record(partial(records.names, pick, needed))


_ANYTHING: Final[Mapping[str, Collection[str]]] = {}

_LONG_ERROR = "code, title, detail, status, source"
_TEXT_ERROR = "code, title, detail, status as text, source"


def _all(*values: str, **by_subject: str) -> Mapping[str, Collection[str]]:
    """Expect one of the values of every subject, but for those that are named."""
    return {"*": values, **{name: (value,) for name, value in by_subject.items()}}


CHECKS: Final = (
    Check(5, "The account's key, asked of the probe", _all("200"),
          lambda seen: responses.answered(seen, seen.key), switches={"404": "probe=no"}),
    Check(5, "The probe's roles", _all("roles"), responses.probe_roles,
          switches={"no roles": "probe_roles=no"}),
    Check(5, "A made-up key", _all("401"), lambda seen: responses.answered(seen, seen.wrong_key)),
    _guess(5, "What a role opens, and what is refused without it",
           _all("opened with its role", "opened", "403 without its role", "403"), responses.roles,
           switches={"401 without its role": "missing_role=401", "401": "missing_role=401"}),
    Check(6, "An unknown path", _all("404"),
          lambda seen: responses.answered(seen, seen.unknown_path, needs_key=True)),
    _guess(6, "A made-up organization, asked with a made-up key", _all("404"),
           lambda seen: responses.answered(seen, seen.unknown_organization),
           switches={"401": "unknown_organization=401"}),
    *(Check(13 if name == "tags" else 7, f"The list of {name}", _all("200"),
            partial(responses.answers, name)) for name in LISTS),
    Check(7, "The link to the next page", _all("relative path with page"),
          _by_list(lists.link_form),
          switches={"absolute address with page": "links=absolute",
                    "relative path with page, in an object": "links=object",
                    "relative path with page, without pageSize": "links=without_size"}),
    Check(7, "The link on the last page", _all("null"), _by_list(lists.last_link),
          switches={"missing": "last_link=missing", "leads past the end": "last_link=when_full"}),
    Check(8, "The first page, twice in a row, and the second",
          _all("the same", "new records in front", "records removed in between"),
          _by_record(lists.reread)),
    _guess(9, "What a page tells of itself, and numbers in it",
           _all("page, pageSize", customers="page, pageSize, total, totalPages"),
           _by_list(lists.meta), switches={"nothing": "meta=missing"}),
    _guess(11, "The largest page", _all("100", users="500", teams="500"),
           _by_list(lambda seen: lists.page_size(seen, seen.too_large, TOO_LARGE)),
           switches={"400": "too_large=refused"}),
    _guess(11, "The page size without pageSize", _all("100", customers="30"),
           _by_list(lambda seen: lists.page_size(seen, seen.default, seen.size))),
    _guess(12, f"Around {CAP:,} records", _all("a link, then more records"),
           _by_list(lists.around_cap),
           switches={"no link, then no new record": "cap=cut", "a link, then 400": "cap=refused",
                     "no link, then more records": "cap=unlinked"}),
    Check(14, "The limit", _all("300", "500", "1000", "2000"), responses.limit),
    _guess(14, "How the minute is counted", _all("slides"), responses.minute),
    _guess(15, "Rate-limit headers by response", _all("limit and remaining"),
           partial(responses.by_kind, responses.headers),
           switches={"limit and remaining, Retry-After in seconds": "retry_after=seconds",
                     "limit and remaining, Retry-After a date": "retry_after=date"}),
    _guess(15, "x-ratelimit-reset by response", {"*": ("none",), "429": ("epoch seconds",)},
           partial(responses.by_kind, responses.reset),
           switches={"epoch milliseconds": "reset=milliseconds", "an ISO date": "reset=iso"}),
    Check(16, "Bodies of errors", _all("code, message, meta", _LONG_ERROR, _TEXT_ERROR),
          partial(responses.by_kind, responses.body),
          switches={"code, message, meta": "error_form=short", "HTML": "error_form=html",
                    _TEXT_ERROR: "error_form=long_text"}),
    Check(17, "Types of values, and forms of times", _all("all fit"),
          _by_record(records.value_types)),
    _guess(17, "How documented values are absent", _ANYTHING, _by_record(records.absent)),
    _guess(18, "Where sla is", _ANYTHING,
           _names(lambda _, r: ((m, None) for m in r if "sla" in object_in(r, m)), "an SLA")),
    Check(19, "Relationships with only a link, beside messages", _all("none"),
          _names(records.links_only)),
    Check(20, "Custom attributes by suffix", _all("its type"), records.suffixes),
    Check(20, "Metadata of custom attributes", _all("properties by name"), records.metadata,
          switches={"404": "metadata=404"}),
    _guess(21, "Deleted records", _ANYTHING, _names(records.deleted, "a deleted record")),
    _guess(22, "Masked values", _ANYTHING,
           _names(records.masked, "a key without Read Sensitive permission")),
    _guess(24, "The page after the last one", _all("200, empty, no next link"),
           _by_list(lists.past_end),
           switches={"200, empty, a next link": "past_end=onward", "404": "past_end=404",
                     "400": "past_end=400"}),
    _guess(25, "The order of a list", _all("by createdAt, ascending"), _by_list(lists.order),
           switches={"by createdAt, descending": "order=newest_first"}),
    _guess(25, "Parameters that could sort, or filter by time", _all("nothing"),
           responses.parameters,
           switches={"orders by id, descending": "parameters=honoured",
                     "begins after the record": "parameters=honoured",
                     "leaves out records in front": "parameters=honoured",
                     "400": "parameters=refused"}),
    Check(26, "Ids, types and links", _all("24 hexadecimals, its type, its link"),
          _by_record(records.identity)),
    _guess(26, "Attributes, relationships and members without a column",
           dict.fromkeys(("users", "teams", "tags", "brands"), ("none",)),
           _names(records.without_place)),
)  # fmt: skip
