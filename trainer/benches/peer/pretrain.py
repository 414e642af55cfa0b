"""A step of pretraining in PyTorch, timed: the networks, losses and updates of trainer/train/src/pretrain.

usage: pretrain.py THREADS < JSON of what plugin/infer/benches/pretrain.rs asks; prints milliseconds as JSON.

Views are drawn before the clock starts, as ours are loaded by threads. Both views of a place show all of its ground, turned
by a random permutation of pixels, on the same dates; so everything counts, as in the bench.
"""

import copy
import json
import sys
import time

import torch
import torch.nn.functional as F
from encoders import Satellites, median
from torch import nn

LEVELS = ("pixel", "object", "image")


class Head(nn.Module):
    """DINO's projection, of features brought to mean 0 and deviation 1."""

    def __init__(self, channels, of):
        super().__init__()
        widths = [channels] + [of["hidden"]] * (of["layers"] - 1) + [of["bottleneck"]]
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))
        self.last = nn.Parameter(torch.randn(of["outputs"], of["bottleneck"]) / of["bottleneck"] ** 0.5)

    def forward(self, x):
        x = F.layer_norm(x, x.shape[-1:], eps=1e-6)
        for index, layer in enumerate(self.layers):
            x = layer(F.gelu(x) if index else x)
        return F.normalize(x, dim=-1) @ F.normalize(self.last, dim=-1).T


class Network(nn.Module):
    """Encoders of both satellites, fusion with the calendar, geo-context, and projections."""

    def __init__(self, asked):
        super().__init__()
        self.satellites = Satellites(asked)
        wide, narrow = asked["fusion"]["in"], asked["fusion"]["channels"]
        self.register_buffer("prototypes", torch.randn(asked["regions"], asked["prototypes"], narrow))
        channels = {"s2": wide, "s1": wide, "fused": 2 * narrow}
        self.heads = nn.ModuleDict({f"{s}_{level}": Head(c, asked["heads"]) for s, c in channels.items() for level in LEVELS})
        self.align = nn.ModuleDict({s: nn.Linear(wide, asked["alignment_outputs"]) for s in ("s2", "s1")})

    def forward(self, s2, s1, days, regions):
        maps, fused = self.satellites(s2, s1, days)
        table = self.prototypes[regions]
        context = F.softmax(fused @ table.transpose(1, 2) / fused.shape[-1] ** 0.5, -1) @ table
        streams = {"s2": maps[0].flatten(2).transpose(1, 2), "s1": maps[1].flatten(2).transpose(1, 2)}
        return {**streams, "fused": torch.cat([fused, context], -1)}, fused


def sinkhorn(scores, epsilon, iterations):
    """Assignment of rows to columns, by logarithms: rows even, then columns."""
    _, rows, columns = scores.shape
    x = scores / epsilon
    for _ in range(iterations):
        x = x - x.logsumexp(2, keepdim=True) - torch.log(torch.tensor(float(rows)))
        x = x - x.logsumexp(1, keepdim=True) - torch.log(torch.tensor(float(columns)))
    return x.exp()


def clusters(features, of):
    """Shares of each pixel in the clusters of its image."""
    x = F.normalize(features - features.mean(1, keepdim=True), dim=-1)
    chosen, alike = [], torch.zeros(x.shape[:2])
    for at in range(of["clusters"]):
        pixel = alike.argmin(1)
        centre = x.gather(1, pixel[:, None, None].expand(-1, 1, x.shape[2]))
        chosen.append(centre)
        cosine = (x @ centre.transpose(1, 2)).squeeze(2)
        alike = cosine if at == 0 else torch.maximum(alike, cosine)
    centres = torch.cat(chosen, 1)
    for _ in range(of["rounds"]):
        shares = sinkhorn(x @ centres.transpose(1, 2), of["epsilon"], of["iterations"])
        shares = shares / shares.sum(1, keepdim=True)
        centres = F.normalize(shares.transpose(1, 2) @ x, dim=-1)
    return shares


def main(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    asked = json.load(sys.stdin)
    student = Network(asked)
    teacher = copy.deepcopy(student).requires_grad_(False)
    centres = {name: torch.zeros(asked["heads"]["outputs"]) for name in student.heads}
    batch, side, pixels = asked["batch"], asked["s2"]["side"], asked["pixels"]
    views, area = 2 * batch, side * side
    dates = {"s2": asked["dates"][0], "s1": asked["dates"][1], "fused": 1}
    s2 = torch.randn(views, dates["s2"], asked["s2"]["bands"], side, side)
    s1 = torch.randn(views, dates["s1"], asked["s1"]["bands"], side, side)
    days = torch.randint(0, 365, (views, dates["s2"]))
    regions = torch.arange(views) % 3
    turned = {stream: torch.rand(views * count, area).argsort(1) for stream, count in dates.items()}
    looked = {stream: torch.rand(views * count, area).argsort(1)[:, :pixels] for stream, count in dates.items()}
    matrices = [p for p in student.parameters() if p.dim() > 1]
    vectors = [p for p in student.parameters() if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.04}, {"params": vectors, "weight_decay": 0.0}], lr=1e-3
    )

    def pick(features, index):
        return features.gather(1, index[:, :, None].expand(-1, -1, features.shape[2]))

    def step():
        with torch.no_grad():
            theirs, _ = teacher(s2, s1, days, regions)
        ours, fused = student(s2, s1, days, regions)
        loss, outputs = 0.0, {}
        for stream, count in dates.items():
            mine = ours[stream]
            with torch.no_grad():
                other = pick(theirs[stream].roll(batch * count, 0), turned[stream])
                shares = clusters(other, asked)
            weights = shares.transpose(1, 2)
            grains = {
                "pixel": (pick(mine, looked[stream]), pick(other, looked[stream])),
                "object": (weights @ mine, weights @ other),
                "image": (mine.mean(1, keepdim=True), other.mean(1, keepdim=True)),
            }
            for level, (a, b) in grains.items():
                name = f"{stream}_{level}"
                with torch.no_grad():
                    outputs[name] = teacher.heads[name](b)
                    targets = F.softmax((outputs[name] - centres[name]) / 0.04, -1)
                logits = student.heads[name](a)
                loss = loss - (targets * F.log_softmax(logits / 0.1, -1)).sum(-1).mean()
        means = {s: student.align[s](ours[s].reshape(views, -1, ours[s].shape[2]).mean(1)) for s in ("s2", "s1")}
        for a, b in (("s2", "s1"), ("s1", "s2")):
            for view in range(2):
                x, y = (F.normalize(means[s][view * batch : (view + 1) * batch], dim=-1) for s in (a, b))
                loss = loss + F.cross_entropy(x @ y.T / 0.07, torch.arange(batch)) / 2
        optimiser.zero_grad()
        loss.backward()
        with torch.no_grad():
            for parameter in student.parameters():
                norm = parameter.grad.norm()
                parameter.grad.mul_((3.0 / (norm + 1e-6)).clamp(max=1.0))
            optimiser.step()
            for name, out in outputs.items():
                centres[name].mul_(0.9).add_(out.flatten(0, 1).mean(0), alpha=0.1)
            table = student.prototypes[regions]
            scores = F.normalize(fused, dim=-1) @ F.normalize(table, dim=-1).transpose(1, 2)
            shares = sinkhorn(scores, asked["epsilon"], asked["iterations"])
            averages = (shares / shares.sum(1, keepdim=True)).transpose(1, 2) @ fused
            for region in regions.unique():
                mean = averages[regions == region].mean(0)
                student.prototypes[region] = 0.9 * student.prototypes[region] + 0.1 * mean
            teacher.prototypes.copy_(student.prototypes)
            for old, new in zip(teacher.parameters(), student.parameters()):
                old.mul_(0.99).add_(new, alpha=0.01)

    parameters = sum(p.numel() for p in student.parameters())
    step()
    print(json.dumps({"step_ms": median(step, asked["runs"]), "parameters": parameters}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
