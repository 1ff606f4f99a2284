"""Answers as charts: Vega-Lite's language, drawn to SVG without a browser or a network."""

import math
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import vl_convert
from markupsafe import Markup
from rich.cells import cell_len, set_cell_size

from tools.tour.answers import Answer, cell

# What fits into a chart; the table below it has all rows.
_ROWS = 10

# All charts are as wide, so that all texts are as large.
_WIDTH, _HEIGHT, _LINE = 410, 160, 15
# The page's colours, light or dark, and dashes for eyes and printers that tell no colours apart.
_COLORS = ["var(--one)", "var(--two)", "var(--three)"]
_DASHES = [[1, 0], [6, 3], [2, 2]]
_LABEL = {"labelFontSize": 12, "labelColor": "var(--soft)", "labelLimit": 0}
_AXIS = {"domain": False, "ticks": False, "grid": False, "gridColor": "var(--line)", "title": None}
_CONFIG = {
    "aria": False,
    "background": None,
    "font": "inherit",
    "view": {"stroke": None},
    "mark": {"color": _COLORS[0]},
    "text": {"fontSize": 12, "color": "var(--ink)"},
    "header": {**_LABEL, "labelAnchor": "start"},
    "axis": {**_AXIS, **_LABEL},
}

_Spec = dict[str, Any]


def draw(answer: Answer) -> Markup:
    """Return an answer's chart as SVG, empty where its question wants none."""
    chart = _CHARTS.get(answer.question.chart)
    if not chart or not answer.question.bars:
        return Markup()
    try:
        svg = vl_convert.vegalite_to_svg({**chart(answer), "config": _CONFIG})
    except ValueError:
        # What cannot be drawn is a table, like what need not be.
        return Markup()
    _, width, drawing = re.split(r'<svg .*?viewBox="0 0 (\d+)', svg, maxsplit=1)
    label, width = escape(answer.title), max(int(width), _WIDTH)
    # Vega escapes what it writes.
    return Markup(f'<svg role="img" aria-label="{label}" viewBox="0 0 {width}{drawing}')  # noqa: S704


def _numbers(field: str, **more: Any) -> _Spec:
    return {"field": field, "type": "quantitative", "axis": None, **more}


def _names(field: str, **more: Any) -> _Spec:
    return {"field": field, "type": "ordinal", "sort": None, **more}


def _text(**more: Any) -> _Spec:
    return {"mark": {"type": "text", **more}, "encoding": {"text": {"field": "text"}}}


def _shortened(value: object, columns: int = 20) -> str:
    """Shorten a name; Vega itself would cut an emoji in two, and fail."""
    name = cell(value) or "(none)"
    return name if cell_len(name) <= columns else set_cell_size(name, columns - 1).strip() + "…"


def _long(answer: Answer, rows: int | None = None) -> list[_Spec]:
    """Return a value for each row and each drawn column."""
    return [
        {
            # Two rows may have the same name.
            "label": f"{place:06}{_shortened(row[0])}",
            "at": cell(row[0])[:10],
            "series": answer.heading(name),
            "value": value,
            "text": cell(row[answer.columns.index(name)]),
        }
        for place, row in enumerate(answer.rows[:rows])
        for name, value in zip(answer.question.bars, answer.bars(row), strict=True)
    ]


def _series(data: list[_Spec]) -> list[str]:
    return list(dict.fromkeys(row["series"] for row in data))


def _bars(answer: Answer) -> _Spec:
    """Draw a panel for each column, on one scale, so that nothing depends on colours."""
    data = _long(answer, _ROWS)
    series = _series(data)
    # Names stand left of the bars, and numbers at their ends.
    names, numbers, gap = 130, 44, 12
    width = (_WIDTH - names - gap * len(series)) / len(series)
    longest = max(row["value"] for row in data) * width / (width - numbers) or 1
    axis = {"labelExpr": "slice(datum.label, 6)", "labelPadding": 8}
    scale = {"domain": [0, longest], "nice": False}
    return {
        "data": {"values": data},
        "facet": {"column": {**_names("series", title=None), "sort": series}},
        "spacing": gap,
        "spec": {
            "width": width,
            "height": {"step": 26},
            "encoding": {
                "y": _names("label", axis={**axis, "labelColor": "var(--ink)"}),
                "x": _numbers("value", scale=scale),
            },
            "layer": [{"mark": {"type": "bar", "height": 16}}, _text(align="left", dx=5)],
        },
    }


def _line(answer: Answer) -> _Spec:
    """Draw numbers by time, each line with its name and its last number at its end."""
    data = _long(answer)
    series = _series(data)
    least, most = (pick(0, pick(row["value"] for row in data)) for pick in (min, max))
    # Names that would lie on each other are moved apart.
    ends, free = [], -math.inf
    for row in sorted(data[-len(series) :], key=lambda row: row["value"]):
        free = max(row["value"], free + _LINE * (most - least) / _HEIGHT)
        ends.append({**row, "value": free, "text": f"{row['series']} {row['text']}"})
    # Seven pixels a letter are enough for the names.
    width = max(_WIDTH - 50 - 7 * max(len(end["text"]) for end in ends), _WIDTH // 2)
    ticks = {"format": "%b %Y", "tickCount": 4, "labelFlush": False, "labelOverlap": False}
    at = {"field": "at", "type": "temporal", "scale": {"type": "utc"}}
    scale = {"domain": [least, most or 1], "nice": False}
    lines = {
        name: _names("series", legend=None, scale={"domain": series, "range": values})
        for name, values in (("color", _COLORS), ("strokeDash", _DASHES))
    }
    return {
        "width": width,
        "height": _HEIGHT,
        "padding": {"top": 12, "left": 5, "bottom": 5},
        "encoding": {
            "x": {**at, "axis": {**ticks, "offset": 6}},
            "y": _numbers("value", axis={"grid": True, "tickCount": 4}, scale=scale),
        },
        "layer": [
            {"data": {"values": data}, "mark": "line", "encoding": lines},
            {"data": {"values": ends}, **_text(align="left", dx=6)},
        ],
    }


def _histogram(answer: Answer) -> _Spec:
    """Draw one number by ranges that follow each other."""
    axis = {"labelExpr": "split(slice(datum.label, 6), ' ')", "labelAngle": 0}
    return {
        "width": _WIDTH - 10,
        "height": _HEIGHT,
        "data": {"values": _long(answer)},
        "encoding": {
            "x": _names("label", axis=axis, scale={"paddingInner": 0.05}),
            "y": _numbers("value"),
        },
        "layer": [{"mark": "bar"}, _text(dy=-8)],
    }


def _heatmap(answer: Answer) -> _Spec:
    """Draw squares whose size says how much: not every screen tells shades apart."""
    rows = zip(answer.rows, _long(answer), strict=True)
    data = [{**value, "across": _shortened(row[1], 10)} for row, value in rows]
    size = {"scale": {"range": [0, 12 * 12]}, "legend": None}
    return {
        "width": _WIDTH - 50,
        "height": {"step": 20},
        "data": {"values": data},
        "mark": {"type": "square", "opacity": 1},
        "encoding": {
            "x": _names("across", axis={"labelAngle": 0, "labelOverlap": True}),
            "y": _names("at"),
            "size": {"field": "value", "type": "quantitative", **size},
        },
    }


_CHARTS: Mapping[str, Callable[[Answer], _Spec]] = {
    "bars": _bars,
    "line": _line,
    "histogram": _histogram,
    "heatmap": _heatmap,
}
