"""The modules of the encoder in PyTorch, timed: forward in eager mode, and a training step with AdamW.

usage: encoders.py THREADS < JSON of what plugin/infer/benches/encoders.rs asks; prints milliseconds as JSON.
"""

import json
import math
import statistics
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn


class Layer(nn.Module):
    """x + attention(norm(x)), then x + mlp(norm(x))."""

    def __init__(self, width, heads, ratio):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.packed, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def forward(self, x):
        batch, tokens, width = x.shape
        packed = self.packed(self.norm1(x)).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        x = x + self.out(F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(x.shape))
        return x + self.mlp(self.norm2(x))


class Series(nn.Module):
    """Patches of 4 pixels, positions, layers, and the head that raises the features to the pixel grid."""

    def __init__(self, of):
        super().__init__()
        width = of["channels"]
        self.embed = nn.Conv2d(of["bands"], width, 4, 4)
        self.positions = nn.Parameter(torch.randn(1, (of["side"] // 4) ** 2, width) * 0.02)
        self.layers = nn.Sequential(*(Layer(width, of["heads"], of["mlp_ratio"]) for _ in range(of["layers"])))
        self.up = nn.Conv2d(width, of["out"] * 16, 1)

    def forward(self, pixels):
        x = self.embed(pixels)
        batch, width, rows, columns = x.shape
        x = self.layers(x.flatten(2).transpose(1, 2) + self.positions)
        return F.pixel_shuffle(self.up(x.transpose(1, 2).reshape(batch, width, rows, columns)), 4)


class Fusion(nn.Module):
    """Sequences over dates and modalities; gives the extra token that stands before them."""

    def __init__(self, of):
        super().__init__()
        width = of["channels"]
        self.narrow = nn.Linear(of["in"], width)
        self.extra = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.layers = nn.Sequential(*(Layer(width, of["heads"], of["mlp_ratio"]) for _ in range(of["layers"])))

    def forward(self, x):
        x = self.narrow(x)
        return self.layers(torch.cat([self.extra.expand(x.shape[0], -1, -1), x], 1))[:, 0]


class Satellites(nn.Module):
    """Encoders of both satellites, and the fusion with the calendar on the days of Sentinel-2."""

    def __init__(self, asked):
        super().__init__()
        self.s2, self.s1, self.fusion = Series(asked["s2"]), Series(asked["s1"]), Fusion(asked["fusion"])
        self.calendar = nn.Parameter(torch.randn(366, asked["fusion"]["in"]) * 0.02)

    def forward(self, s2, s1, days):
        """Chips of dates; gives the maps of all dates, and the fused features [chip, pixel, channel]."""
        chips = s2.shape[0]
        maps = [self.s2(s2.flatten(0, 1)), self.s1(s1.flatten(0, 1))]
        _, wide, side, _ = maps[0].shape
        tokens = [m.view(chips, -1, wide, side * side).permute(0, 3, 1, 2) for m in maps]
        tokens[0] = tokens[0] + self.calendar[days][:, None]
        return maps, self.fusion(torch.cat(tokens, 2).flatten(0, 1)).view(chips, side * side, -1)


class WindowAttention(nn.Module):
    """Cosine attention in a window with a bias from a small network over logarithmic distances."""

    def __init__(self, width, heads, window, hidden):
        super().__init__()
        self.heads, self.window = heads, window
        self.scale = nn.Parameter(torch.full((heads, 1, 1), math.log(10)))
        self.packed = nn.Linear(width, 3 * width, bias=False)
        self.query_bias, self.value_bias = nn.Parameter(torch.zeros(width)), nn.Parameter(torch.zeros(width))
        self.distance = nn.Sequential(nn.Linear(2, hidden), nn.ReLU(), nn.Linear(hidden, heads, bias=False))
        self.out = nn.Linear(width, width)
        offsets = torch.arange(1 - window, window) / (window - 1) * 8
        table = torch.stack(torch.meshgrid(offsets, offsets, indexing="ij"), -1)
        self.register_buffer("table", torch.sign(table) * torch.log2(table.abs() + 1) / 3)
        places = torch.arange(window * window)
        rows, columns = places // window, places % window
        pairs = (rows[:, None] - rows + window - 1) * (2 * window - 1) + columns[:, None] - columns + window - 1
        self.register_buffer("pairs", pairs.flatten())

    def forward(self, x, mask):
        batch, tokens, width = x.shape
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        packed = F.linear(x, self.packed.weight, bias).view(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        logits = F.normalize(query, dim=-1) @ F.normalize(key, dim=-1).transpose(-2, -1)
        logits = logits * self.scale.clamp(max=math.log(100)).exp()
        bias = self.distance(self.table).view(-1, self.heads)[self.pairs].view(tokens, tokens, self.heads)
        logits = logits + 16 * torch.sigmoid(bias.permute(2, 0, 1))
        if mask is not None:
            count = mask.shape[0]
            logits = (logits.view(-1, count, self.heads, tokens, tokens) + mask[None, :, None]).view(logits.shape)
        return self.out((logits.softmax(-1) @ value).transpose(1, 2).reshape(x.shape))


class Block(nn.Module):
    def __init__(self, width, heads, window, shift, of, extra):
        super().__init__()
        self.window, self.shift = window, shift
        self.attention = WindowAttention(width, heads, window, of["bias_hidden"])
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.norm3 = nn.LayerNorm(width) if extra else nn.Identity()
        ratio = of["mlp_ratio"]
        self.mlp = nn.Sequential(nn.Linear(width, ratio * width), nn.GELU(), nn.Linear(ratio * width, width))

    def split(self, x):
        batch, height, width, channels = x.shape
        w = self.window
        x = x.view(batch, height // w, w, width // w, w, channels)
        return x.transpose(2, 3).reshape(-1, w * w, channels)

    def forward(self, x):
        batch, height, width, channels = x.shape
        w, shift = self.window, 0 if min(x.shape[1:3]) == self.window else self.shift
        padded = F.pad(x, (0, 0, 0, -width % w, 0, -height % w))
        mask = None
        if shift:
            padded = torch.roll(padded, (-shift, -shift), (1, 2))
            regions = torch.zeros(1, *padded.shape[1:3], 1)
            parts = (slice(0, -w), slice(-w, -shift), slice(-shift, None))
            for number, (rows, columns) in enumerate((a, b) for a in parts for b in parts):
                regions[:, rows, columns] = number
            regions = self.split(regions).squeeze(-1)
            mask = (regions[:, None] != regions[:, :, None]) * -100.0
        y = self.attention(self.split(padded), mask)
        y = y.view(batch, padded.shape[1] // w, padded.shape[2] // w, w, w, channels).transpose(2, 3)
        y = y.reshape(padded.shape)
        if shift:
            y = torch.roll(y, (shift, shift), (1, 2))
        x = x + self.norm1(y[:, :height, :width])
        return self.norm3(x + self.norm2(self.mlp(x)))


class HighResolution(nn.Module):
    def __init__(self, of):
        super().__init__()
        width = of["channels"]
        self.embed, self.norm = nn.Conv2d(of["bands"], width, 4, 4), nn.LayerNorm(width)
        self.merges, self.stages = nn.ModuleList(), nn.ModuleList()
        for stage, (depth, heads) in enumerate(zip(of["depths"], of["heads"])):
            if stage:
                self.merges.append(nn.Sequential(nn.Linear(4 * width, 2 * width, bias=False), nn.LayerNorm(2 * width)))
                width *= 2
            every = of["extra_norm_every"]
            self.stages.append(nn.Sequential(*(
                Block(width, heads, of["window"], of["window"] // 2 * (block % 2), of, bool(every) and (block + 1) % every == 0)
                for block in range(depth)
            )))
        self.last = nn.LayerNorm(width)

    def forward(self, pixels):
        x = self.norm(self.embed(pixels).permute(0, 2, 3, 1))
        for stage, blocks in enumerate(self.stages):
            if stage:
                batch, height, width, _ = x.shape
                x = F.unfold(x.permute(0, 3, 1, 2), 2, stride=2).transpose(1, 2)
                x = self.merges[stage - 1](x).view(batch, height // 2, width // 2, -1)
            x = blocks(x)
        return self.last(x)


KINDS = {"series": Series, "fusion": Fusion, "hr": HighResolution}


def median(run, runs):
    run()
    times = []
    for _ in range(runs):
        begun = time.perf_counter()
        run()
        times.append(time.perf_counter() - begun)
    return 1000 * statistics.median(times)


def main(threads):
    torch.set_num_threads(threads)
    torch.manual_seed(1)
    asked = json.load(sys.stdin)
    model = KINDS[asked["kind"]](asked["of"])
    x = torch.randn(*asked["input"])
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)

    def forward():
        with torch.inference_mode():
            model(x)

    def step():
        optimiser.zero_grad()
        model(x).square().mean().backward()
        optimiser.step()

    parameters = sum(parameter.numel() for parameter in model.parameters())
    runs = asked["runs"]
    times = {"forward_ms": median(forward, runs)}
    step()
    before = time.process_time()
    times["step_ms"] = median(step, runs)
    # Of all threads together.
    times["step_core_ms"] = 1000 * (time.process_time() - before) / (runs + 1)
    print(json.dumps({"parameters": parameters, **times}))


if __name__ == "__main__":
    main(int(sys.argv[1]))
