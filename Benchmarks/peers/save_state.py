#!/usr/bin/env python3
"""PyTorch's side of `checkpoint`: a model's weights and AdamW moments, saved and loaded. One line of JSON.

`torch.save` with an fsync, `torch.load`, and `distributed.checkpoint.async_save`: how long the call keeps the trainer, and
how long until the files are there (its file writer syncs them).

EXAMPLE
  Benchmarks/peers/save_state.py --parameters 10745088 --folder /tmp
"""

import argparse
import json
import os
import shutil
import tempfile
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parameters", type=int, required=True, metavar="N")
    parser.add_argument("--folder", default=".", help="where the files go (default: here)")
    arguments = parser.parse_args()
    if arguments.parameters < 1:
        parser.error("at least 1 parameter")
    # Nothing of this talks to another machine.
    os.environ.update(GLOO_SOCKET_IFNAME="lo", MASTER_ADDR="127.0.0.1")
    import torch
    import torch.distributed as dist
    import torch.distributed.checkpoint as checkpoint

    folder = tempfile.mkdtemp(prefix="headway-peers-", dir=os.path.abspath(arguments.folder))
    try:
        dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=0, world_size=1)
        state = {f"{part}.{index}": torch.randn(size) for part in ("weights", "first", "second")
                 for index, size in enumerate(pieces(arguments.parameters))}
        result = {"bytes": sum(4 * tensor.numel() for tensor in state.values())}

        path = f"{folder}/state.pt"
        start = time.perf_counter()
        with open(path, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        result["save_seconds"] = time.perf_counter() - start
        drop(path)
        start = time.perf_counter()
        torch.load(path)
        result["load_seconds"] = time.perf_counter() - start

        start = time.perf_counter()
        future = checkpoint.async_save(state, checkpoint_id=f"{folder}/async")
        result["async_blocking_seconds"] = time.perf_counter() - start
        future.result()
        result["async_seconds"] = time.perf_counter() - start
        dist.destroy_process_group()
        print(json.dumps(result))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def pieces(parameters, largest=589_824):
    """As many floats in tensors as large as those of the model's widest layers."""
    return [largest] * (parameters // largest) + ([parameters % largest] if parameters % largest else [])


def drop(path):
    """Has the next read come from the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


if __name__ == "__main__":
    main()
