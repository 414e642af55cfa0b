"""Collects the STAC JSON schemas into a folder: python3 stac_schemas.py FOLDER

They are other people's work and no part of this project, so they are taken from the package index: the core
specification lies in the wheel of pystac-core, and the tests of its extensions record the schemas that they were
answered with. What no package holds is asked for where it is published, for machines that reach it.

A schema lies at FOLDER/<host>/<path>, so that a reference is a path.
"""

import json
import pathlib
import subprocess
import sys
import tarfile
import tempfile
import urllib.request
import zipfile

CORE = "pystac-core==1.15.2"
EXTENSIONS = [
    "pystac-ext-classification==2.0.1",
    "pystac-ext-file==2.1.1",
    "pystac-ext-mlm==1.4.1",
    "pystac-ext-projection==2.0.1",
]
PUBLISHED = [
    "https://stac-extensions.github.io/processing/v1.2.0/schema.json",
    "https://stac-extensions.github.io/raster/v2.0.0/schema.json",
]
# Where the wheel's folders are published.
PLACES = {
    "geojson/": "geojson.org/schema/",
    "stac-spec/v1.1.0/catalog": "schemas.stacspec.org/v1.1.0/catalog-spec/json-schema/catalog",
    "stac-spec/v1.1.0/collection": "schemas.stacspec.org/v1.1.0/collection-spec/json-schema/collection",
    "stac-spec/v1.1.0/": "schemas.stacspec.org/v1.1.0/item-spec/json-schema/",
}


def pip(*arguments):
    subprocess.run([sys.executable, "-m", "pip", *arguments, "-q", "--disable-pip-version-check"], check=True)


def keep(folder, place, text):
    json.loads(text)
    path = folder / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def core(folder, work):
    pip("download", "--no-deps", "--only-binary=:all:", "-d", str(work), CORE)
    marker = "/validation/jsonschemas/"
    with zipfile.ZipFile(next(work.glob("*.whl"))) as wheel:
        for name in wheel.namelist():
            inside = name.partition(marker)[2]
            for prefix, place in PLACES.items():
                if inside.endswith(".json") and inside.startswith(prefix):
                    keep(folder, place + inside[len(prefix):], wheel.read(name).decode())
                    break


def extensions(folder, work):
    pip("install", "--no-deps", "--target", str(work / "python"), "pyyaml")
    sys.path.insert(0, str(work / "python"))
    import yaml

    pip("download", "--no-deps", "--no-binary=:all:", "-d", str(work), *EXTENSIONS)
    bodies, moved = {}, {}
    for archive in sorted(work.glob("*.tar.gz")):
        with tarfile.open(archive) as files:
            for member in files:
                if "/cassettes/" not in member.name or not member.name.endswith(".yaml"):
                    continue
                for exchange in yaml.safe_load(files.extractfile(member))["interactions"]:
                    place = exchange["request"]["uri"].partition("://")[2]
                    response = exchange["response"]
                    if response["status"]["code"] == 200:
                        bodies[place] = response["body"]["string"]
                    elif "Location" in response["headers"]:
                        moved[place] = response["headers"]["Location"][0].partition("://")[2]
    bodies.update({place: bodies[to] for place, to in moved.items() if to in bodies})
    for place, body in bodies.items():
        if place.endswith("schema.json"):
            keep(folder, place, body.decode() if isinstance(body, bytes) else body)


def published(folder):
    for url in PUBLISHED:
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                keep(folder, url.partition("://")[2], answer.read().decode())
        except OSError as error:
            print(f"{url} is not reached ({error}): the tests check what it asks for by rules of their own", file=sys.stderr)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    folder = pathlib.Path(sys.argv[1])
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        core(folder, work)
        extensions(folder, work)
    published(folder)


if __name__ == "__main__":
    main()
