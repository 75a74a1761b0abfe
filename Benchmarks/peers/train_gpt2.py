#!/usr/bin/env python3
"""Whole training steps of a GPT-2 in PyTorch on the CPU, as an ordinary good user writes them; one line of JSON.

The same model, batch and optimizer as Headway's presets `nanogpt-cpu` (small) and `char-10m` (heavy): pre-norm
blocks, learned positions, tanh GELU, tied head, no biases, float32, AdamW with decay on matrices, clipping at 1.
The text is random over 65 characters. A step is: draw a batch, forward, backward, clip, update, read the loss.

EXAMPLES
  python train_gpt2.py --model small --threads 2 --mode eager
  python train_gpt2.py --model heavy --threads 1 --mode compile --steps 5 --warmup 1
"""

import argparse
import json
import math
import os
import re
import statistics
import time

SHAPES = {  # layers, heads, width, T, sequences per step
    "small": (4, 4, 128, 64, 12),
    "heavy": (6, 6, 384, 256, 16),
}
VOCABULARY = 65
PEAK_RATE, FINAL_RATE = 1e-3, 1e-4


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", choices=SHAPES, default="small")
    parser.add_argument("--threads", type=int, default=2, help="threads inside an operation (default 2)")
    parser.add_argument("--mode", choices=("eager", "compile"), default="eager")
    parser.add_argument("--steps", type=int, default=30, help="steps to measure (default 30)")
    parser.add_argument("--warmup", type=int, default=5, help="steps before them (default 5)")
    parser.add_argument("--microbatches", type=int, default=1, help="accumulate gradients over so many parts of the batch")
    parser.add_argument("--adamw", choices=("fused", "foreach"), default="fused", help="implementation of the update")
    parser.add_argument("--bfloat16", action="store_true", help="autocast to bfloat16 (another arithmetic than Headway's)")
    arguments = parser.parse_args()
    sequences = SHAPES[arguments.model][4]
    if arguments.threads < 1 or arguments.steps < 1 or arguments.warmup < 1:
        parser.error("--threads, --steps and --warmup are at least 1")
    if arguments.microbatches < 1 or sequences % arguments.microbatches:
        parser.error(f"--microbatches must divide the {sequences} sequences of a step")
    return arguments


ARGUMENTS = parse_arguments()
os.environ.setdefault("OMP_NUM_THREADS", str(ARGUMENTS.threads))  # OpenMP reads it when it is loaded, with torch

import torch  # noqa: E402
from torch import nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width, bias=False)
        self.qkv = nn.Linear(width, 3 * width, bias=False)
        self.project1 = nn.Linear(width, width, bias=False)
        self.norm2 = nn.LayerNorm(width, bias=False)
        self.expand = nn.Linear(width, 4 * width, bias=False)
        self.project2 = nn.Linear(4 * width, width, bias=False)

    def forward(self, x):
        B, T, C = x.shape
        q, k, v = (part.view(B, T, self.heads, C // self.heads).transpose(1, 2) for part in self.qkv(self.norm1(x)).split(C, dim=2))
        attended = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.project1(attended.transpose(1, 2).reshape(B, T, C))
        return x + self.project2(F.gelu(self.expand(self.norm2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, layers, heads, width, context):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, width)
        self.positions = nn.Embedding(context, width)
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, bias=False)
        self.head = nn.Linear(width, VOCABULARY, bias=False)
        self.head.weight = self.tokens.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                branch_end = name.endswith(("project1.weight", "project2.weight"))
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if branch_end else 0.02)

    def forward(self, inputs, targets):
        x = self.tokens(inputs) + self.positions.weight[: inputs.shape[1]]
        for block in self.blocks:
            x = block(x)
        return F.cross_entropy(self.head(self.norm(x)).flatten(0, 1), targets.flatten())


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    choice = {"fused": True} if ARGUMENTS.adamw == "fused" else {"foreach": True}
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.99), eps=1e-8, **choice)


def learning_rate(step, steps):
    return FINAL_RATE + (PEAK_RATE - FINAL_RATE) * 0.5 * (1 + math.cos(math.pi * step / steps))


def blas():
    """What multiplies matrices: the library torch was built with, and oneDNN, which takes some operations."""
    text = torch.__config__.show()
    name = re.search(r"BLAS_INFO=(\w+)", text)
    version = re.search(r"Math Kernel Library Version (\S+?)-", text)
    dnn = re.search(r"MKL-DNN (v[\d.]+)", text)
    parts = [name.group(1) if name else "unknown"]
    if version:
        parts[0] += " " + version.group(1)
    if dnn:
        parts.append("oneDNN " + dnn.group(1))
    return ", ".join(parts)


def main():
    layers, heads, width, context, sequences = SHAPES[ARGUMENTS.model]
    torch.manual_seed(1)
    torch.set_num_threads(ARGUMENTS.threads)
    torch.set_num_interop_threads(1)
    torch.set_flush_denormal(True)
    text = torch.randint(VOCABULARY, (400_000,))
    offsets = torch.arange(context + 1)
    model = GPT2(layers, heads, width, context)
    optimizer = make_optimizer(model)
    loss_of = torch.compile(model) if ARGUMENTS.mode == "compile" else model
    total = ARGUMENTS.warmup + ARGUMENTS.steps

    def step(number):
        windows = text[torch.randint(len(text) - context, (sequences, 1)) + offsets]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(number, total)
        loss_sum = 0.0
        for part in windows.chunk(ARGUMENTS.microbatches):
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=ARGUMENTS.bfloat16):
                loss = loss_of(part[:, :-1], part[:, 1:]) / ARGUMENTS.microbatches
            loss.backward()
            loss_sum += loss.item()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return loss_sum

    first = step(0)
    for number in range(1, ARGUMENTS.warmup):
        step(number)
    seconds = []
    for number in range(ARGUMENTS.warmup, total):
        start = time.perf_counter()
        last = step(number)
        seconds.append(time.perf_counter() - start)
    if not math.isfinite(last):
        raise SystemExit(f"the loss is {last} after {total} steps")

    median = statistics.median(seconds)
    print(json.dumps({
        "tokens_per_second": round(sequences * context / median, 1), "milliseconds": round(median * 1e3, 3),
        "best_milliseconds": round(min(seconds) * 1e3, 3), "threads": ARGUMENTS.threads, "mode": ARGUMENTS.mode,
        "dtype": "bfloat16 autocast" if ARGUMENTS.bfloat16 else "float32", "microbatches": ARGUMENTS.microbatches,
        "adamw": ARGUMENTS.adamw, "steps": ARGUMENTS.steps, "parameters": sum(p.numel() for p in model.parameters()),
        "first_loss": round(first, 4), "last_loss": round(last, 4), "torch": torch.__version__, "blas": blas(),
    }))


if __name__ == "__main__":
    main()
