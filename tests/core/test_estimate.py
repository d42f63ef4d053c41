"""What an estimate says, against what is then written and sent."""

from __future__ import annotations

import numpy as np
import pytest
from minicuber.core.jobs import run_job
from minicuber.core.progress import Progress
from scenery import collection_file, scene

CRS, CORNER = "EPSG:32632", (399_960.0, 5_200_020.0)


@pytest.mark.parametrize(
    ("block", "pixels", "sized"), [(512, 128, True), (512, 128, False), (1024, 300, True), (256, 500, False)]
)
@pytest.mark.parametrize("suffix", [".nc", ".zarr"])
def test_estimate_is_right_within_two_on_disk_and_three_to_download(
    tmp_path, serve, block, pixels, sized, suffix
):
    rng = np.random.default_rng(2)
    size = 2048
    # As smooth and as noisy as land: about 1.3 bytes a pixel when deflated.
    ground = 1500 + 800 * np.sin(np.arange(size) / 90)[:, None] + 600 * np.cos(np.arange(size) / 70)[None, :]
    items = []
    for day in (1, 6, 11):
        image = ground + rng.normal(0, 60, (size, size))
        item = scene(
            tmp_path, f"s{day}", CRS, CORNER, f"2021-06-{day:02d}T10:30:00Z", size=size, bands=("B02", "B04"),
            values={"B02": image, "B04": image * 0.7 + 100}, block=block,
        )  # fmt: skip
        for asset in item["assets"].values() if sized else ():
            asset["file:size"] = (tmp_path / asset["href"]).stat().st_size
        items.append(item)
    collection_file(tmp_path, items)
    server = serve(tmp_path)
    left, top = CORNER[0] + 4000, CORNER[1] - 6000
    recipe = {
        "extent": [left, left + 10 * pixels, top - 10 * pixels, top], "extent_crs": CRS, "start": "2021-06-01",
        "end": "2021-06-30", "catalog": f"{server.url}/items.json", "s2_bands": ["B02", "B04"],
    }  # fmt: skip
    output = tmp_path / f"out/cube{suffix}"
    dry = run_job("buildminicube", {"recipe": recipe, "output": str(output), "dry_run": True}, Progress())
    assert not output.exists() and not any(path.endswith(".tif") for path in server.requests)
    run_job("buildminicube", {"recipe": recipe, "output": str(output)}, Progress())
    sent = sum(count for path, count in server.sent.items() if path.endswith(".tif")) / 1e6
    assert sent / 3 <= dry["estimated_download_mb"] <= sent * 3
    files = [output] if output.is_file() else [path for path in output.rglob("*") if path.is_file()]
    written = sum(path.stat().st_size for path in files) / 1e6
    assert written / 2 <= dry["estimated_mb"] <= written * 2
