"""The plugin as its user has it: installed by `skysense qgis install`, run by `qgis_process` without a desktop.

Called by `./x test-qgis`, with any Python. SKYSENSE is the command; SKYSENSE_REAL_DATA the folder with real images,
where there is one; SKYSENSE_SHOTS a folder for pictures, where they are wanted. Pixels are compared with those that the
command line gives for a workflow that was written by hand.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
# The wrapper of Debian passes an option that qgis_process does not know.
QGIS_PROCESS = shutil.which("qgis_process.bin") or shutil.which("qgis_process") or ""
QGIS = shutil.which("qgis.bin") or shutil.which("qgis") or ""
# Python for which QGIS was built, and not another one that comes first on the PATH.
PYTHON = "/usr/bin/python3"
ALGORITHMS = (
    "addmodel", "change", "detect", "embed", "finetune", "search", "segment", "library_map", "library_features",
)  # fmt: skip
# Places of tasks in the choice of skysense:finetune.
CHANGE, DETECTION = 4, 5
SECONDS = 60


class Bench:
    """A home of its own, with the plugin installed."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self.skysense = str(Path(os.environ["SKYSENSE"]).resolve())
        self.profile = work / "home" / ".local" / "share" / "QGIS" / "QGIS3" / "profiles" / "default"
        runtime = work / "runtime"
        for folder in (work / "home", runtime):
            folder.mkdir(parents=True)
        runtime.chmod(0o700)
        dropped = ("XDG_DATA_HOME", "QGIS_CUSTOM_CONFIG_PATH", "QGIS_PLUGINPATH", "LANG", "LC_ALL", "PYTHONPATH")
        self.environment = {name: value for name, value in os.environ.items() if name not in dropped}
        self.environment.update(
            HOME=str(work / "home"),
            XDG_RUNTIME_DIR=str(runtime),
            QT_QPA_PLATFORM="offscreen",
            # The Python inside QGIS finds its library by the first python3 of the PATH.
            PATH=os.pathsep.join(["/usr/bin", "/bin", os.environ.get("PATH", "")]),
            # Nothing is written beside images that are only looked at.
            GDAL_PAM_ENABLED="NO",
            # The runtime that ./x found: a home of its own has no cache.
            ORT_DYLIB_PATH=os.environ.get("ORT_DYLIB_PATH", ""),
        )

    def command(self, *arguments: str) -> dict:
        """The command line, answering with JSON."""
        done = self.start(self.skysense, *arguments, "--json")
        assert done.returncode == 0, f"skysense {arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout)

    def start(self, *line: str, **options) -> subprocess.CompletedProcess:
        """Any program, to its end."""
        return subprocess.run(
            line, capture_output=True, text=True, env=self.environment, cwd=self.work, check=False, **options
        )

    def process(self, *arguments: str) -> subprocess.CompletedProcess:
        """qgis_process."""
        return self.start(QGIS_PROCESS, *arguments)

    def run(self, algorithm: str, **parameters: object) -> dict:
        """An algorithm; gives its results."""
        line = [f"--{name}={value}" for name, value in parameters.items()]
        done = self.process("--json", "run", f"skysense:{algorithm}", *line)
        assert done.returncode == 0, f"{algorithm}: {done.stderr}"
        return json.loads(done.stdout)["results"]


def step(text: str) -> None:
    """Says what is tested now."""
    print(f"qgis: {text}", flush=True)


def same(one: str | Path, other: str | Path) -> None:
    """Whether two rasters are the same bytes."""
    sums = [hashlib.sha256(Path(file).read_bytes()).hexdigest() for file in (one, other)]
    assert sums[0] == sums[1], f"{one} and {other} differ"


def only(folder: str | Path, pattern: str) -> Path:
    """The one file of this name."""
    found = list(Path(folder).glob(pattern))
    assert len(found) == 1, f"{folder}/{pattern}: {found}"
    return found[0]


def installed(bench: Bench) -> None:
    """The plugin is put in place, enabled, listed."""
    step("install, enable, list")
    answer = bench.command("qgis", "install")
    assert Path(answer["folder"]) == bench.profile / "python" / "plugins" / "skysense", answer
    done = bench.process("plugins", "enable", "skysense")
    assert done.returncode == 0, done.stderr
    listed = bench.process("list").stdout
    for name in ALGORITHMS:
        assert f"skysense:{name}\t" in listed, f"{name} is not in\n{listed}"
    helped = bench.process("help", "skysense:library_map").stdout
    assert "Classes of the land" in helped and "datetime_start" in helped, helped


def simulated(bench: Bench) -> tuple[str, str]:
    """On a simulated scene: a model is trained, added and applied; gives catalog and model."""
    step("a simulated scene: train, add, map, embed, search")
    bench.command("simulate", "scene", "--out", "scene", "--size", "64", "--dates", "4", "--radar-dates", "2")
    catalog = str(bench.work / "scene" / "catalog.json")
    labels = only(bench.work / "scene" / "labels", "*/*.tif")
    searched = {"CATALOG": catalog, "COLLECTIONS": "sentinel-2-l2a"}
    trained = bench.run(
        "finetune",
        **searched,
        LABELS=labels,
        CLASSES="1=water#2b6cb0,2=broadleaf#3f8f3f,3=conifer#1b4d2b,4=grassland#a8d06a,5=wheat,6=maize,7=rapeseed",
        NAME="first",
        STEPS=20,
    )
    added = bench.run("addmodel", PACKAGE=trained["PACKAGE"], NAME="second")
    assert "Licence of the weights" in added["CARD"], added
    model = added["MODEL"]
    bench.command("model", "export", model, "--out", "weights", "--weights-only")
    weights = only(bench.work / "weights", "*backbone_s2.safetensors")
    imported = bench.run("addmodel", S2_WEIGHTS=weights, NAME="third", LICENCE="CC0-1.0")
    assert "CC0-1.0" in imported["CARD"], imported
    mapped = bench.run("segment", **searched, MODEL="second", START="2021-03-01", END="2021-10-31", OUTPUT="map")
    assert bench.command("verify", mapped["ITEM"])["ok"]
    given = ["-p", f"catalog={catalog}", "-p", f"model={model}"]
    bench.command("run", str(ROOT / "workflows/library/map.yaml"), *given, "-p", "out=map-cli")
    same(mapped["RESULT"], only(bench.work / "map-cli", "*/class.tif"))
    ready = bench.run(
        "library_map", catalog=catalog, model=model, datetime_start="2021-03-01", datetime_end="2021-10-31", out="ready"
    )
    same(ready["RESULT"], mapped["RESULT"])
    embedded = bench.run("embed", **searched, MODEL=model, OUTPUT="features")
    workflow = (ROOT / "workflows/library/features.yaml").read_text()
    workflow = workflow.replace("{href: $catalog}", "{href: $catalog, collections: [sentinel-2-l2a]}")
    (bench.work / "features.yaml").write_text(workflow)
    bench.command("run", "features.yaml", *given, "-p", "out=features-cli")
    same(embedded["RESULT"], only(bench.work / "features-cli", "*/features.tif"))
    found = bench.run("search", **searched, OUTPUT="found.geojson")
    assert found["COUNT"] == 4 == len(json.loads((bench.work / "found.geojson").read_text())["features"]), found
    return catalog, model


def changed(bench: Bench) -> str:
    """What changed between two years: a model is trained and applied; gives the model."""
    step("two times: train, map of change")
    bench.command(
        "simulate",
        "scene",
        "--out",
        "changed",
        "--size",
        "64",
        "--dates",
        "3",
        "--radar-dates",
        "0",
        "--changed",
        "0.25",
    )
    catalog = str(bench.work / "changed" / "catalog.json")
    years = {"START": "2022-01-01", "END": "2022-12-31", "START_BEFORE": "2021-01-01", "END_BEFORE": "2021-12-31"}
    searched = {"CATALOG": catalog, "COLLECTIONS": "sentinel-2-l2a", **years}
    labels = only(bench.work / "changed" / "changes", "*/*.tif")
    classes = "1=unchanged#c8c8c8,2=built_over#d7263d"
    learned = {"LABELS": labels, "CLASSES": classes, "TASK": CHANGE, "NAME": "change", "STEPS": 10}
    model = bench.run("finetune", **searched, **learned)["PACKAGE"]
    mapped = bench.run("change", **searched, MODEL="change", OUTPUT="change-map")
    nodes: dict = {}
    for year, suffix, chips in (("2022", "", "chips"), ("2021", "-before", "before")):
        interval = f"{year}-01-01/{year}-12-31"
        given = {"href": catalog, "collections": ["sentinel-2-l2a"], "datetime": interval}
        nodes[f"scenes{suffix}"] = {"uses": "stac.search", "with": given}
        nodes[chips] = {"uses": "raster.chips", "from": f"scenes{suffix}", "with": {"size": 16}}
    source = {"chips": "chips", "before": "before"}
    nodes["applied"] = {"uses": "skysense.segment", "from": source, "with": {"model": model}}
    target = {"href": "change-cli", "collection": "change"}
    nodes["written"] = {"uses": "stac.write", "from": "applied", "with": target}
    (bench.work / "change-cli.yaml").write_text(json.dumps({"skysense": 1, "nodes": nodes}))
    bench.command("run", "change-cli.yaml")
    same(mapped["RESULT"], only(bench.work / "change-cli", "*/class.tif"))
    return model


def objects(bench: Bench) -> tuple[str, str]:
    """Objects on an orthophoto: outlines teach a detector, which is applied; gives image and model."""
    step("objects: train on outlines, find")
    size = ("--size", "64", "--dates", "1", "--radar-dates", "0", "--hr", "24", "--objects", "12", "--seed", "7")
    bench.command("simulate", "scene", "--out", "aerial", *size)
    image = only(bench.work / "aerial" / "aerial-rgb", "*/*.tif")
    outlines = only(bench.work / "aerial" / "objects", "*/objects.geojson")
    layers = {"LAYERS": image, "SENSOR": 3, "BANDS": "red=1,green=2,blue=3", "DATES": "2021-06-01"}
    learned = {"POLYGONS": outlines, "CLASS_FIELD": "class", "TASK": DETECTION, "NAME": "detector", "STEPS": 40}
    model = bench.run("finetune", **layers, **learned, CHIP_SIZE=8, OVERLAP=3, HOLDOUT=0)["PACKAGE"]
    found = bench.run("detect", **layers, MODEL="detector", OVERLAP=3, OUTPUT="found")
    assert found["RESULT"].endswith(".gpkg"), found
    file = {"href": str(image), "bands": {"red": 1, "green": 2, "blue": 3}, "datetime": "2021-06-01"}
    chips = {"size": 8, "overlap": 3}
    target = {"href": "found-cli", "collection": "found", "formats": ["geopackage"]}
    nodes = {
        "image": {"uses": "raster.files", "with": {"sensor": "hr-rgb", "files": [file]}},
        "chips": {"uses": "raster.chips", "from": "image", "with": chips},
        "found": {"uses": "skysense.detect", "from": "chips", "with": {"model": model}},
        "written": {"uses": "objects.write", "from": "found", "with": target},
    }
    (bench.work / "found-cli.yaml").write_text(json.dumps({"skysense": 1, "nodes": nodes}))
    bench.command("run", "found-cli.yaml")
    same(found["RESULT"], only(bench.work / "found-cli", "*/objects.gpkg"))
    return str(image), model


def as_file(bench: Bench) -> None:
    """The workflow that an algorithm left beside its result is a raster itself, with the pixels of the result."""
    step("a workflow as a raster, through GDAL")
    printed = bench.command("gdal", "path")
    bench.environment["GDAL_DRIVER_PATH"] = printed["folder"]
    workflow, result = bench.work / "map.skysense.yaml", only(bench.work / "map", "*/class.tif")
    done = bench.process("run", "gdal:translate", f"--INPUT={workflow}", "--OUTPUT=live.tif")
    assert done.returncode == 0, done.stdout + done.stderr
    sums = [bench.start("gdalinfo", "-checksum", str(file)).stdout for file in (bench.work / "live.tif", result)]
    checksums = [[line for line in text.splitlines() if "Checksum=" in line] for text in sums]
    assert checksums[0] and checksums[0] == checksums[1], sums
    broken = bench.work / "broken.skysense.yaml"
    broken.write_text(workflow.read_text().replace("raster.chips", "raster.chisp"))
    done = bench.process("run", "gdal:translate", f"--INPUT={broken}", "--OUTPUT=none.tif")
    assert "raster.chisp" in done.stdout + done.stderr, done.stdout + done.stderr
    assert not (bench.work / "none.tif").exists()


def broken(bench: Bench, catalog: str, model: str) -> None:
    """Errors are sentences, and the exit is not 0."""
    step("what goes wrong is told")
    for parameters, parts in (
        ({"CATALOG": "gone.json", "MODEL": model}, ("Cannot read", "gone.json", "What to do: check the path")),
        ({"CATALOG": catalog, "MODEL": "nobody"}, ("There is no model “nobody”", "second", "What to do:")),
        ({"MODEL": model}, ("There are no images", "What to do:")),
    ):
        line = [f"--{name}={value}" for name, value in parameters.items()]
        done = bench.process("run", "skysense:segment", *line, "--OUTPUT=none")
        assert done.returncode != 0, parameters
        for part in parts:
            assert part in done.stderr, f"{part}: {done.stderr}"
    assert not (bench.work / "none").exists()
    bench.environment["SKYSENSE_BINARY"] = "/gone/skysense"
    done = bench.process("run", "skysense:segment", f"--CATALOG={catalog}", f"--MODEL={model}", "--OUTPUT=none")
    del bench.environment["SKYSENSE_BINARY"]
    said = done.stdout + done.stderr
    assert done.returncode != 0 and "/gone/skysense" in said and "skysense qgis install" in said, said


def ended(bench: Bench, catalog: str) -> None:
    """A qgis_process that is ended leaves no command running and nothing half written."""
    step("a run that is ended leaves nothing behind")
    labels = only(bench.work / "scene" / "labels", "*/*.tif")
    out = bench.work / "ended"
    given = {"CATALOG": catalog, "COLLECTIONS": "sentinel-2-l2a", "LABELS": labels, "STEPS": 1000000, "OUTPUT": out,
             "CLASSES": "1=water,2=broadleaf,3=conifer"}  # fmt: skip
    line = [QGIS_PROCESS, "run", "skysense:finetune", *(f"--{name}={value}" for name, value in given.items())]
    parent = subprocess.Popen(
        line, env=bench.environment, cwd=bench.work, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    child = waited(lambda: running(f"{out}.skysense.yaml"), "the command to start")
    parent.send_signal(signal.SIGTERM)
    parent.wait(SECONDS)
    waited(lambda: not running(f"{out}.skysense.yaml"), f"process {child} to end with its parent")
    assert not (out / "model.yaml").exists()


def running(word: str) -> list[str]:
    """Processes of the command with this word on their line."""
    found = subprocess.run(["pgrep", "-f", f"run .*{word}.*--with-parent"], capture_output=True, text=True, check=False)
    return found.stdout.split()


def waited(ask, what: str):
    """What `ask` gives once it gives something."""
    for _ in range(SECONDS * 10):
        answer = ask()
        if answer:
            return answer
        time.sleep(0.1)
    raise AssertionError(f"waited for {what}")


def real(bench: Bench, data: Path) -> None:
    """On real images: raster layers with labels, and a catalog; the same pixels as the command line."""
    step(f"real images of {data}: train on layers, map layers and catalog, embed, search")
    image = only(data / "stac/terramesh-s2l2a", "*637U*/S2L2A.tif")
    labels = only(data / "stac/terramesh-labels", "*637U*/lulc.tif")
    layers = {"LAYERS": image, "DATES": "2017-10-30", "RADIOMETRY": 1}
    classes = "1=water,2=trees,4=crops,5=built,6=bare,9=rangeland"
    trained = bench.run("finetune", **layers, LABELS=labels, CLASSES=classes, NAME="real", STEPS=20)
    mapped = bench.run("segment", **layers, MODEL="real", OUTPUT="real-map")
    same(mapped["RESULT"], by_hand(bench, data, "skysense.segment", trained["PACKAGE"]))
    embedded = bench.run("embed", **layers, MODEL="real", OUTPUT="real-features")
    same(embedded["RESULT"], by_hand(bench, data, "skysense.embed", trained["PACKAGE"]))
    found = bench.run("search", CATALOG=data / "stac/catalog.json", COLLECTIONS="treesat-s2", OUTPUT="real.geojson")
    assert found["COUNT"] == 100, found


def by_hand(bench: Bench, data: Path, node: str, model: str) -> Path:
    """What the command line gives for the item of the catalog that the layer is the image of."""
    name = node.replace(".", "-")
    searched = {
        "href": str(data / "stac/catalog.json"),
        "collections": ["terramesh-s2l2a"],
        "ids": ["S2L2A_637U_59R_1_3"],
        "sensors": {"terramesh-s2l2a": "sentinel-2-l2a"},
    }
    nodes = {
        "scenes": {"uses": "stac.search", "with": searched},
        "chips": {"uses": "raster.chips", "from": "scenes", "with": {"size": 16, "dates": {"max": 1}}},
        "applied": {"uses": node, "from": "chips", "with": {"model": model}},
        "written": {"uses": "stac.write", "from": "applied", "with": {"href": name, "collection": "real"}},
    }
    (bench.work / f"{name}.yaml").write_text(json.dumps({"skysense": 1, "nodes": nodes}))
    bench.command("run", f"{name}.yaml")
    return only(bench.work / name, "*/*.tif")


def inside(bench: Bench, catalog: str, model: str, more: dict[str, str]) -> None:
    """The tests that need QGIS in their own process."""
    step("forms, layers, the model designer, cancel: inside QGIS")
    (bench.work / "in-qgis").mkdir()
    environment = {
        **bench.environment,
        "SKYSENSE_WORK": str(bench.work),
        "SKYSENSE_PROFILE": str(bench.profile),
        "SKYSENSE_CATALOG": catalog,
        "SKYSENSE_MODEL": model,
        "SKYSENSE_BINARY": bench.skysense,
        **more,
    }
    line = [PYTHON, str(HERE / "qgis" / "test_in_qgis.py")]
    done = subprocess.run(line, env=environment, cwd=bench.work, check=False)
    assert done.returncode == 0, "the tests inside QGIS failed"


def desktop(bench: Bench, catalog: str) -> None:
    """The desktop under a virtual screen: the dock previews a chip, a result is loaded with its legend."""
    if not (QGIS and shutil.which("xvfb-run")):
        print("qgis: NOT TESTED: the dock, since there is no desktop QGIS or no xvfb-run", flush=True)
        return
    step("the dock on a virtual screen")
    shots = Path(os.environ.get("SKYSENSE_SHOTS") or bench.work / "shots").resolve()
    (shots / "work").mkdir(parents=True, exist_ok=True)
    environment = {**bench.environment, "SKYSENSE_SHOTS": str(shots), "SKYSENSE_CATALOG": catalog,
                   "SKYSENSE_STACK": str(bench.work / "stack.tif"), "LIBGL_ALWAYS_SOFTWARE": "1"}  # fmt: skip
    del environment["QT_QPA_PLATFORM"]
    code = str(HERE / "qgis" / "screenshots.py")
    line = ["xvfb-run", "-a", "-s", "-screen 0 1280x1000x24", QGIS, "--noversioncheck", "--nologo", "--code", code]
    try:
        subprocess.run(line, env=environment, cwd=bench.work, capture_output=True, timeout=300, check=False)
    except subprocess.TimeoutExpired:
        raise AssertionError("the desktop did not come to its end") from None
    error = shots / "error.txt"
    assert not error.exists(), error.read_text()
    assert (shots / "done.txt").exists(), "the desktop ended early"
    for name in ("window", "dock", "dialog", "models", "layers", "two-times"):
        assert (shots / f"{name}.png").stat().st_size > 5000, name


def main() -> None:
    """All of it, in a folder that goes afterwards."""
    with tempfile.TemporaryDirectory(prefix="skysense-qgis-") as folder:
        bench = Bench(Path(folder).resolve())
        installed(bench)
        catalog, model = simulated(bench)
        more = {"SKYSENSE_CHANGE": changed(bench)}
        more["SKYSENSE_OBJECTS"], more["SKYSENSE_DETECTOR"] = objects(bench)
        as_file(bench)
        broken(bench, catalog, model)
        ended(bench, catalog)
        data = os.environ.get("SKYSENSE_REAL_DATA")
        if data:
            real(bench, Path(data))
        else:
            print("qgis: NOT TESTED: real images, since SKYSENSE_REAL_DATA names no folder", flush=True)
        inside(bench, catalog, model, more)
        desktop(bench, catalog)
        answer = bench.command("qgis", "uninstall")
        assert not Path(answer["folder"]).exists()
    step("all well")


if __name__ == "__main__":
    sys.exit(main())
