"""Line charts as SVG: panels side by side over one logarithmic x axis."""

import math
from html import escape

WIDTH, HEIGHT, GAP = 300, 210, 62
LEFT, TOP, BOTTOM = 56, 58, 62
COLOURS = ["#0b6e99", "#c2410c", "#4d7c0f"]
STYLE = (
    "text{font:11px system-ui,sans-serif;fill:#1f2937}.h{font-size:14px;font-weight:600}.p{font-weight:600}"
    ".g{stroke:#e5e7eb}.a{stroke:#6b7280}.l{fill:none;stroke-width:2}.e{text-anchor:end}.m{text-anchor:middle}"
)


def short(value):
    """1200000 -> 1.2M"""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def ticks(low, high, log):
    """Round values that span from low to high, the ends included."""
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        # Over few decades the powers of ten alone would be too few.
        steps = (1, 2, 5) if last - first <= 2 else (1,)
        marks = [k * 10.0**n for n in range(first, max(last, first + 1) + 1) for k in steps]
        start = max((i for i, mark in enumerate(marks) if mark <= low), default=0)
        end = next((i for i, mark in enumerate(marks) if mark >= high and i > start), len(marks) - 1)
        return marks[start : end + 1]
    step = 10 ** math.floor(math.log10(high or 1))
    step = next(step * k for k in (0.2, 0.5, 1, 2, 5) if high / (step * k) <= 5)
    return [n * step for n in range(math.ceil(high / step) + 1)]


def scale(marks, log, start, end):
    """Maps values to pixels."""
    to = math.log10 if log else float
    low, high = to(marks[0]), to(marks[-1])
    return lambda value: start + (to(value) - low) / ((high - low) or 1) * (end - start)


def panel(number, title, x_title, xs, lines, log):
    """One chart; lines are (name, values), a value may be None."""
    left = LEFT + number * (WIDTH + GAP)
    bottom, right = TOP + HEIGHT, left + WIDTH
    values = [v for _, ys in lines for v in ys if v is not None and (v > 0 or not log)]
    if not values:
        return ""
    marks = ticks(min(values), max(values), log)
    x = scale([xs[0], xs[-1]], True, left, right)
    y = scale(marks, log, bottom, TOP)
    out = [f'<text class="p" x="{left}" y="{TOP - 12}">{escape(title)}</text>']
    for mark in marks:
        out.append(f'<line class="g" x1="{left}" x2="{right}" y1="{y(mark):.1f}" y2="{y(mark):.1f}"/>')
        out.append(f'<text class="e" x="{left - 6}" y="{y(mark) + 4:.1f}">{short(mark)}</text>')
    for value in xs:
        out.append(f'<line class="a" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{bottom}" y2="{bottom + 4}"/>')
        out.append(f'<text class="m" x="{x(value):.1f}" y="{bottom + 17}">{short(value)}</text>')
    out.append(f'<line class="a" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    out.append(f'<text class="m" x="{(left + right) / 2}" y="{bottom + 34}">{escape(x_title)}</text>')
    for i, (name, ys) in enumerate(lines):
        colour = COLOURS[i % len(COLOURS)]
        points = [(x(a), y(b)) for a, b in zip(xs, ys) if b is not None and (b > 0 or not log)]
        path = " ".join(f"{a:.1f},{b:.1f}" for a, b in points)
        # Dashed, so that a line on top of another doesn't hide it.
        dash = ' stroke-dasharray="6 4"' if i else ""
        out.append(f'<polyline class="l" stroke="{colour}"{dash} points="{path}"/>')
        out += [f'<circle cx="{a:.1f}" cy="{b:.1f}" r="3" fill="{colour}"/>' for a, b in points]
        at = left + i * 90
        out.append(f'<rect x="{at}" y="{bottom + 42}" width="10" height="10" fill="{colour}"/>')
        out.append(f'<text x="{at + 15}" y="{bottom + 51}">{escape(name)}</text>')
    return "\n".join(out)


def chart(title, x_title, xs, panels):
    """The whole picture; panels are (title, lines, log)."""
    width = LEFT + len(panels) * (WIDTH + GAP) - GAP + 24
    height = TOP + HEIGHT + BOTTOM
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">',
        f"<title>{escape(title)}</title><style>{STYLE}</style>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text class="h" x="{LEFT}" y="22">{escape(title)}</text>',
    ]
    parts += [panel(i, name, x_title, xs, lines, log) for i, (name, lines, log) in enumerate(panels)]
    return "\n".join([*parts, "</svg>\n"])
