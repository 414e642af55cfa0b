"""Does the jobs of the benchmark with shapely and pycocotools, and prints seconds and results as JSON.

usage: boxes.py JOB.json
"""

import contextlib
import io
import json
import sys
import time

import numpy as np
import shapely
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval


def timed(rounds, work):
    """Median seconds of so many rounds, and what came of the last."""
    seconds = []
    for _ in range(rounds):
        begun = time.perf_counter()
        result = work()
        seconds.append(time.perf_counter() - begun)
    return {"seconds": sorted(seconds)[rounds // 2], "result": result}


def overlaps(job):
    """All pairs at once, from corners: shapely's fastest way."""

    def work():
        one, other = shapely.polygons(np.array(job["one"])), shapely.polygons(np.array(job["other"]))
        both = shapely.area(shapely.intersection(one, other))
        return float((both / (shapely.area(one) + shapely.area(other) - both)).sum())

    return timed(job["rounds"], work)


def suppression(job):
    """Greedy, with neighbours from a tree and the overlaps of one box at once."""

    def work():
        boxes, scores = shapely.polygons(np.array(job["boxes"])), np.array(job["scores"])
        areas, tree = shapely.area(boxes), shapely.STRtree(boxes)
        gone, kept = np.zeros(len(boxes), bool), []
        for at in np.argsort(-scores, kind="stable"):
            if gone[at]:
                continue
            kept.append(int(at))
            near = tree.query(boxes[at])
            near = near[~gone[near]]
            both = shapely.area(shapely.intersection(boxes[at], boxes[near]))
            gone[near[both > job["threshold"] * (areas[at] + areas[near] - both)]] = True
        return len(kept)

    return timed(job["rounds"], work)


def coco(job):
    images = [{"id": at} for at in range(len(job["images"]))]
    categories = [{"id": at} for at in range(job["classes"])]
    truths, boxes = [], []
    for image, content in enumerate(job["images"]):
        for *box, label in content["truths"]:
            one = {"id": len(truths) + 1, "image_id": image, "category_id": label, "bbox": box}
            truths.append({**one, "area": box[2] * box[3], "iscrowd": 0})
        for *box, label, score in content["boxes"]:
            boxes.append({"image_id": image, "category_id": label, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {"info": {}, "images": images, "categories": categories, "annotations": truths}
        known.createIndex()
        found = known.loadRes(boxes)

        def work():
            evaluation = COCOeval(known, found, "bbox")
            evaluation.evaluate()
            evaluation.accumulate()
            evaluation.summarize()
            return float(evaluation.stats[0])

        return timed(job["rounds"], work)


def main(path):
    with open(path, encoding="utf-8") as file:
        jobs = json.load(file)
    print(json.dumps({name: globals()[name](job) for name, job in jobs.items()}))


if __name__ == "__main__":
    main(sys.argv[1])
