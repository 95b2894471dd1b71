"""The ratios as a picture: an SVG with a bar a line, on a logarithmic scale around 1."""

import math
from collections.abc import Sequence
from html import escape

from conformance.peers.results import Line

_LINE = 20
_LEFT = 430
_HALF = 260
#: Ratios beyond are cut there.
_MOST = 32.0
_GOOD, _BAD = "#2e7d32", "#c62828"


def svg(lines: Sequence[Line], title: str) -> str:
    """One bar for each line that has a ratio; to the right is better, whatever the figure."""
    shown = [line for line in lines if line.ratio]
    height, width = _LINE * (len(shown) + 3), _LEFT + 2 * _HALF + 80
    middle = _LEFT + _HALF
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="{_LINE}">{escape(title)}</text>',
    ]
    for times in (1 / 16, 1 / 4, 1, 4, 16):
        x = middle + _reach(times)
        parts.append(f'<line x1="{x:.0f}" x2="{x:.0f}" y1="{_LINE * 1.5}" y2="{height}" stroke="#ccc"/>')
        parts.append(f'<text x="{x:.0f}" y="{_LINE * 2}" text-anchor="middle">{_times(times)}</text>')
    for number, line in enumerate(shown):
        y = _LINE * (number + 2.5)
        better = line.ratio if line.figure == "per_s" else 1 / (line.ratio or 1)
        reach = _reach(better or 1)
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 12:.0f}" text-anchor="end">'
            f"{escape(line.row)}, {escape(line.figure)}</text>"
            f'<rect x="{min(middle, middle + reach):.0f}" y="{y:.0f}" width="{abs(reach):.0f}" '
            f'height="{_LINE - 6}" fill="{_GOOD if reach >= 0 else _BAD}"/>'
        )
    return "\n".join([*parts, "</svg>"]) + "\n"


def _reach(times: float) -> float:
    bounded = min(max(times, 1 / _MOST), _MOST)
    return math.log(bounded) / math.log(_MOST) * _HALF


def _times(value: float) -> str:
    return f"{value:g} times" if value >= 1 else f"1/{1 / value:g}"
