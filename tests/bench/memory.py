"""How much memory a build needs, and whether that grows with the number of dates.

    python tests/bench/memory.py

512 x 512 pixels of 10 m, 6 bands, 146 dates and half of them, from files of real size over HTTP without latency.
Says PASS or FAIL, and ends with 0 either way.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

from cogs import make_scenes, window, with_hrefs
from load import THREADS, Measured, job_of, once
from server import HERE, Api, Server

SIZE, DATES, BANDS = 512, 146, ("B02", "B03", "B04", "B08", "B8A", "SCL")
DISTINCT = 6  # dates with pixels of their own; the others are further names of their files
LIMIT = 1500  # 10^6 bytes
GROWTH = 1.1  # twice the dates may need so many times the memory: the process is never twice the same


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="minicuber-bench-"))
    try:
        peaks = {dates: peak(folder / str(dates), dates) for dates in (DATES // 2, DATES)}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    half, whole = peaks[DATES // 2], peaks[DATES]
    print(
        f"\n{SIZE} x {SIZE} px, {len(BANDS)} bands, from search to file, each in a new process; the most resident "
        f"memory it ever had."
    )
    for dates, measured in peaks.items():
        first, most = measured.peaks[0]
        print(f"{dates:4} dates: {most:6.0f} MB ({first:.0f} MB after imports), {measured.seconds[0]:.1f} s")
    most, ratio = whole.peaks[0][1], whole.peaks[0][1] / half.peaks[0][1]
    print(f"below {LIMIT} MB: {'PASS' if most < LIMIT else 'FAIL'}")
    print(
        f"twice the dates: {ratio:.2f} times the memory: {'PASS' if ratio < GROWTH else 'FAIL'} (below {GROWTH})"
    )


def peak(folder: Path, dates: int) -> Measured:
    """One build of so many dates."""
    folder.mkdir()
    place, measured = window(SIZE, 4), Measured()
    items = make_scenes(folder, place, dates, BANDS, DISTINCT)
    api = Api(with_hrefs(items, HERE), folder)
    try:
        with contextlib.closing(Server(folder, 0.0, api)) as server:
            once(
                "ours", sys.executable, job_of(server, folder, place, THREADS, dates, BANDS), server, measured
            )
    finally:
        api.close()
    if measured.failure:
        raise SystemExit(f"The build of {dates} dates failed: {measured.failure}")
    return measured


if __name__ == "__main__":
    main()
