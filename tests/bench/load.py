"""How fast a cube is loaded over HTTP, beside its peers and beside what is possible at all.

    python tests/bench/load.py [--peers PYTHON] [--runs 5] [--tiles 2] [--only NAME ...]

128 x 128 pixels of 10 m, 25 dates, 5 bands, from files of real size behind 30 ms of latency per request, search
included. The ratios hold on other machines, the seconds do not; nothing here passes or fails.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cogs import CADENCE, COLLECTION, EPSG, FIRST, Window, make_scenes, window, with_hrefs
from pyproj import Transformer
from server import HERE, STAC, Api, Counts, Server

CONTESTANTS = Path(__file__).resolve().with_name("contestants.py")
ROOT = CONTESTANTS.parents[2]
PEERS = ROOT / "build/bench/bin/python"
SIZE, DATES, BANDS = 128, 25, ("B02", "B03", "B04", "B08", "SCL")
LATENCY = 0.030  # seconds
THREADS = 16
FLOOR_THREADS = (16, 32)
LIMIT = 300  # seconds for one contestant's process


@dataclass
class Measured:
    """What all runs of one contestant took, memory (10^6 bytes) at first and at most; the last's counts and values."""

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peaks: list[tuple[float, float]] = field(default_factory=list)
    counts: Counts | None = None
    values: dict[str, np.ndarray] | None = None
    failure: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    asked.add_argument("--peers", type=Path, default=PEERS, help="Python with tests/requirements-bench.txt")
    asked.add_argument("--runs", type=int, default=5)
    asked.add_argument("--tiles", type=int, default=2, choices=(1, 2, 4), help="per file of 10 m")
    asked.add_argument("--latency", type=float, default=1000 * LATENCY, help="ms per request")
    asked.add_argument("--only", nargs="+", default=["ours", "floor", "odc-stac", "earthnet-minicuber"])
    asked = asked.parse_args()
    peers = str(asked.peers) if asked.peers.exists() else ""
    if not peers:
        print(
            f"There is no {asked.peers}: the peers are left out, the floor inflates slower. `make bench` makes it."
        )
    folder = Path(tempfile.mkdtemp(prefix="minicuber-bench-"))
    try:
        run(asked, peers, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(asked: argparse.Namespace, peers: str, folder: Path) -> None:
    place = window(SIZE, asked.tiles)
    items = make_scenes(folder, place, DATES, BANDS)
    api = Api(with_hrefs(items, HERE), folder)
    try:
        with contextlib.closing(Server(folder, 0.0, api)) as server:
            print(ceiling(server, job_of(server, folder, place, THREADS), peers or sys.executable))
        with contextlib.closing(Server(folder, asked.latency / 1000, api)) as server:
            results = race(list(lanes(asked.only, peers)), server, folder, place, asked.runs)
    finally:
        api.close()
    print(
        f"\n{SIZE} x {SIZE} px, {DATES} dates, {len(BANDS)} bands, {asked.tiles} tile(s) per file of 10 m, "
        f"{asked.latency:g} ms per request; from search to result, imports done, a new process each run;\n"
        f"median of {asked.runs}, the contestants in turn within each round.\n"
    )
    print(table(results))
    print()
    for line in compared(results):
        print(line)


def lanes(names: list[str], peers: str) -> Iterator[tuple[str, str, str, int]]:
    """(title, contestant, its Python, threads) of all that run."""
    for name in names:
        if name == "ours":
            yield "ours, to a file", name, sys.executable, THREADS
        elif name == "floor":
            for threads in FLOOR_THREADS:
                yield f"floor, {threads} threads", name, peers or sys.executable, threads
        elif peers and name == "odc-stac":
            yield f"odc-stac, {THREADS} threads", name, peers, THREADS
        elif peers:
            yield f"{name}, to a file", name, peers, THREADS


def job_of(
    server: Server,
    folder: Path,
    place: Window,
    threads: int,
    dates: int = DATES,
    bands: tuple[str, ...] = BANDS,
) -> dict[str, Any]:
    """What a contestant is told."""
    bounds = place.bounds
    to_degrees = Transformer.from_crs(EPSG, 4326, always_xy=True)
    return {
        "catalog": server.url + STAC,
        "collection": COLLECTION,
        "bounds": bounds,
        "crs": f"EPSG:{EPSG}",
        "lonlat": to_degrees.transform_bounds(*bounds),
        "size": place.size,
        "start": FIRST.isoformat(),
        "end": (FIRST + dt.timedelta(days=CADENCE * (dates - 1))).isoformat(),
        "bands": bands,
        "threads": threads,
        "folder": str(folder),
    }


def once(name: str, python: str, job: dict[str, Any], server: Server, into: Measured) -> None:
    """One run in a process of its own, which imports before it is let go."""
    program = [python, "-I", "-B", str(CONTESTANTS), name]
    with (
        tempfile.TemporaryFile("w+") as errors,
        subprocess.Popen(
            program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, bufsize=1
        ) as child,
    ):
        watch = threading.Timer(LIMIT, child.kill)
        watch.start()
        try:
            print(json.dumps(job), file=child.stdin)
            child.stdout.readline()
            before = server.counts()
            print("go", file=child.stdin)
            took = json.loads(child.stdout.readline())
            into.counts = server.counts() - before
            out, _ = child.communicate("values\n")
            with np.load(json.loads(out)["values"]) as values:
                into.values = {band: values[band] for band in values.files}
            into.seconds.append(took["seconds"])
            into.cpu.append(took["cpu"])
            into.peaks.append((took["at_first"], took["peak"]))
        except (ValueError, OSError):
            child.kill()
            errors.seek(0)
            into.failure = (errors.read().strip() or "it ended without a word").splitlines()[-1]
        finally:
            watch.cancel()


def ceiling(server: Server, job: dict[str, Any], python: str) -> str:
    """What the server gives without its latency, to a client that does nothing else, on the same processors."""
    best = Measured()
    for _ in range(3):
        once("ceiling", python, job, server, best)
    if not best.seconds:
        return f"The server cannot be measured: {best.failure}"
    seconds = statistics.median(best.seconds)
    return (
        f"The server's own limit, without latency: {best.counts.files / seconds:.0f} requests/s, "
        f"{best.counts.sent / seconds / 1e6:.0f} MB/s ({1000 * seconds:.0f} ms for all that the floor asks for)."
    )


def race(
    lanes: list[tuple[str, str, str, int]], server: Server, folder: Path, place: Window, runs: int
) -> dict[str, Measured]:
    """All contestants in every round, each round beginning with another one."""
    results = {title: Measured() for title, *_ in lanes}
    for round_ in range(runs):
        shift = round_ % len(lanes)
        for title, name, python, threads in lanes[shift:] + lanes[:shift]:
            if not results[title].failure:
                once(name, python, job_of(server, folder, place, threads), server, results[title])
                print(f"\rround {round_ + 1} of {runs}: {title:<40}", end="", file=sys.stderr)
    print(file=sys.stderr)
    return results


def table(results: dict[str, Measured]) -> str:
    ran = {title: result for title, result in results.items() if result.seconds}
    floors = [result.median for title, result in ran.items() if title.startswith("floor")]
    own = next((result.median for title, result in ran.items() if title.startswith("ours")), None)
    lines = [
        f"{'':28}{'median':>8}{'min - max':>16}{'CPU':>8}{'x floor':>9}{'x ours':>8}{'requests':>10}{'HEAD':>6}"
        f"{'MB':>8}{'connections':>13}"
    ]
    for title, result in ran.items():
        spread, counts = f"{min(result.seconds):.2f} - {max(result.seconds):.2f}", result.counts
        floor = f"{result.median / min(floors):.2f}" if floors else ""
        ours = f"{result.median / own:.2f}" if own else ""
        lines.append(
            f"{title:28}{result.median:6.2f} s{spread:>16}{statistics.median(result.cpu):6.2f} s{floor:>9}{ours:>8}"
            f"{counts.requests:>10}{counts.heads:>6}{counts.sent / 1e6:>8.1f}{counts.connections:>13}"
        )
    lines += [f"{title:28}  failed: {result.failure}" for title, result in results.items() if result.failure]
    return "\n".join(lines)


def compared(results: dict[str, Measured]) -> Iterator[str]:
    """Whether all have the same pixels as the first floor; nobody may win by doing less."""
    ran = {title: result.values for title, result in results.items() if result.values}
    truth = next((values for title, values in ran.items() if title.startswith("floor")), None)
    for title, values in ran.items():
        if truth is None or values is truth:
            continue
        if title.startswith("earthnet"):
            share = np.nanmean(values["B04"]) / truth["B04"].mean()
            shape = " x ".join(str(size) for size in values["B04"].shape)
            yield f"{title}: {shape} values on another grid (degrees); mean of B04 {100 * share:.2f} % of the floor's."
            yield "  It is the package of PyPI, its catalog's address replaced, without cloud mask and BRDF."
            continue
        wrong = [
            band
            for band in BANDS
            if values[band].shape != truth[band].shape or not np.array_equal(values[band], truth[band])
        ]
        yield f"{title}: {'the same values as the floor' if not wrong else 'OTHER VALUES in ' + ', '.join(wrong)}."


if __name__ == "__main__":
    main()
