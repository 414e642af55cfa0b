"""A step of fine-tuning and the scoring of chips in PyTorch, timed: encoders, fusion, the light head, cross-entropy, AdamW.

usage: finetune.py THREADS < JSON of what plugin/infer/benches/finetune.rs asks; prints milliseconds as JSON.

Chips are normalised tensors before the clock starts; what is drawn and turned for a step is work that only our side has.
"""

import json
import sys

import torch
import torch.nn.functional as F
from encoders import Satellites, median
from torch import nn


class Network(nn.Module):
    """Both satellites, fusion with the calendar, a 3 x 3 and a 1 x 1 convolution."""

    def __init__(self, asked):
        super().__init__()
        self.satellites = Satellites(asked)
        narrow, hidden = asked["fusion"]["channels"], asked["hidden"]
        self.head = nn.Sequential(nn.Conv2d(narrow, hidden, 3, padding=1), nn.GELU(), nn.Conv2d(hidden, asked["classes"], 1))

    def forward(self, s2, s1, days):
        _, fused = self.satellites(s2, s1, days)
        return self.head(fused.transpose(1, 2).unflatten(2, s2.shape[-2:]))


def main(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    asked = json.load(sys.stdin)
    network = Network(asked)
    batch, side = asked["batch"], asked["s2"]["side"]
    s2 = torch.randn(batch, asked["dates"][0], asked["s2"]["bands"], side, side)
    s1 = torch.randn(batch, asked["dates"][1], asked["s1"]["bands"], side, side)
    days = torch.randint(0, 365, (batch, asked["dates"][0]))
    labels = torch.randint(0, asked["classes"], (batch, side, side))
    matrices = [p for p in network.parameters() if p.dim() > 1]
    vectors = [p for p in network.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": 0.05}, {"params": vectors, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=1e-3)

    def step():
        optimiser.zero_grad()
        F.cross_entropy(network(s2, s1, days), labels).backward()
        with torch.no_grad():
            for parameter in network.parameters():
                norm = parameter.grad.norm()
                parameter.grad.mul_((1.0 / (norm + 1e-6)).clamp(max=1.0))
        optimiser.step()

    def score():
        with torch.inference_mode():
            network(s2, s1, days).softmax(1).argmax(1)

    step()
    answer = {"step_ms": median(step, asked["runs"]), "score_ms": median(score, asked["runs"]) / batch}
    print(json.dumps({**answer, "parameters": sum(p.numel() for p in network.parameters())}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
