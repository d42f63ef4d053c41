"""Pictures of reports, drawn by matplotlib without a screen."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure

BLUE, ORANGE, GREY, GREEN = "#1f6fb4", "#d95f02", "#9a9a9a", "#1b7837"
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
    panels[0].legend(fontsize=7, loc="lower right")
    return png(figure)


def histogram(edges: np.ndarray, counts: np.ndarray, label: str) -> bytes:
    """Counts between edges (counts + 1,)."""
    figure = new_figure(5, 2.6)
    axes = figure.subplots()
    axes.stairs(counts, edges, fill=True, color=BLUE)
    axes.set_xlabel(label)
    return png(figure)
