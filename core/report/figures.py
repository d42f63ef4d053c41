"""Pictures of reports, drawn by matplotlib without a screen."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

BLUE, ORANGE, GREY, GREEN = "#1f6fb4", "#d95f02", "#9a9a9a", "#1b7837"
COLOURS = (BLUE, "#e6a117", "#c0392b")  # of splits
DPI = 110


def new_figure(width: float, height: float) -> Figure:
    """An empty picture, in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """The picture as a PNG, without the date on which it was drawn."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=DPI, metadata={"Software": None})
    return out.getvalue()


def date_axis(axes) -> None:
    """Label the x axis with dates, as few words as serve."""
    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def bars_of_dates(days: np.ndarray, percent: np.ndarray, label: str) -> bytes:
    """Bars of a number per date, (dates,) datetime64[D]."""
    figure = new_figure(9, 2.6)
    axes = figure.subplots()
    step = float(np.median(np.diff(days).astype(int))) if len(days) > 1 else 1.0
    axes.bar(days.astype("datetime64[D]").astype(object), percent, width=0.8 * step, color=ORANGE)
    axes.set_ylabel(label)
    axes.margins(x=0.01)
    date_axis(axes)
    return png(figure)


def before_and_after(
    days: np.ndarray, curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray]], label: str
) -> bytes:
    """Series of pixels: (title, before (steps,), whether each value went, after (steps,)), a panel each."""
    columns = 1 if len(curves) < 2 else 3
    rows = -(-len(curves) // columns)
    figure = new_figure(4.2 * columns if columns > 1 else 9, 2.5 * rows if columns > 1 else 3)
    panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
    dates = days.astype(object)
    for axes, (title, before, gone, after) in zip(panels, curves, strict=False):
        axes.plot(dates, np.where(gone, np.nan, before), ".", color=GREY, ms=3, label="kept")
        axes.plot(dates, np.where(gone, before, np.nan), "x", color=ORANGE, ms=5, label="removed")
        axes.plot(dates, after, "-", color=GREEN, lw=1.2, label="cleaned")
        axes.set_title(title, fontsize=9)
        axes.grid(alpha=0.25)
        date_axis(axes)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    panels[0].set_ylabel(label)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, fontsize=8, loc="outside lower center", ncols=len(labels))
    return png(figure)


def histogram(edges: np.ndarray, counts: np.ndarray, label: str) -> bytes:
    """Counts between edges (counts + 1,)."""
    figure = new_figure(5, 2.6)
    axes = figure.subplots()
    axes.stairs(counts, edges, fill=True, color=BLUE)
    axes.set_xlabel(label)
    axes.set_ylabel("number")
    return png(figure)


def histograms(values: dict[str, np.ndarray]) -> bytes:
    """Of each variable the values that are there, between their 0.5 and 99.5 percentiles, a panel each."""
    columns = min(len(values), 4)
    rows = -(-len(values) // columns)
    figure = new_figure(2.6 * columns, 1.9 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (name, each) in zip(panels, values.items(), strict=False):
        each = each[np.isfinite(each)]
        axes.set_title(name, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_yticks([])
        if each.size:
            low, high = np.quantile(each, (0.005, 0.995))
            axes.hist(each, bins=40, range=(float(low), float(high)) if high > low else None, color=BLUE)
    for axes in panels[len(values) :]:
        axes.set_visible(False)
    return png(figure)


def map_of_points(groups: dict[str, tuple[np.ndarray, np.ndarray]]) -> bytes:
    """Points by group: longitudes and latitudes in degrees."""
    figure = new_figure(6, 4.5)
    axes = figure.subplots()
    lat = np.concatenate([each[1] for each in groups.values()])
    for (name, (x, y)), colour in zip(groups.items(), COLOURS, strict=False):
        if len(x):
            axes.plot(x, y, ".", ms=4, alpha=0.6, color=colour, label=f"{name} ({len(x):,})", rasterized=True)
    axes.set_xlabel("longitude")
    axes.set_ylabel("latitude")
    axes.ticklabel_format(useOffset=False)
    axes.locator_params(nbins=4)
    axes.set_aspect(1 / max(np.cos(np.radians(lat.mean())), 0.05) if len(lat) else 1, adjustable="datalim")
    figure.legend(loc="outside right upper", fontsize=8)
    return png(figure)


def curves_of_samples(curves: Sequence[tuple[str, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]) -> bytes:
    """Samples, a panel each: (title, dates or numbers and values of the context, the same of the target)."""
    columns = min(len(curves), 3)
    rows = -(-len(curves) // columns)
    figure = new_figure(3.4 * columns, 2.1 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes, (title, x_context, context, x_target, target) in zip(panels, curves, strict=False):
        axes.plot(x_context, context, ".-", ms=3, lw=0.8, color=BLUE)
        axes.plot(x_target, target, ".-", ms=3, lw=0.8, color=ORANGE)
        axes.set_title(title, fontsize=8)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25)
        if np.asarray(x_target).dtype.kind == "M":
            date_axis(axes)
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    return png(figure)
