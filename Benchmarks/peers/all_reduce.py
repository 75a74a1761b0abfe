#!/usr/bin/env python3
"""PyTorch's side of the exchange of gradients: `torch.distributed` over Gloo between processes on the loopback interface.

Prints one line of JSON: milliseconds, of the slowest process in each round, until everybody has the whole sum. Three
ways: `all_reduce`; `reduce_scatter_tensor` and `all_gather_into_tensor`, where this PyTorch has them for Gloo; and the
first of the two by hand, with point-to-point messages, as headway does it.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bytes", type=int, required=True, help="size of the gradient")
    parser.add_argument("--workers", type=int, default=2, metavar="N")
    parser.add_argument("--rounds", type=int, default=11, metavar="N")
    parser.add_argument("--rank", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.rank is not None:
        return rank_process(arguments)
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory(prefix="headway-peers-") as folder:
        ranks = [subprocess.Popen([sys.executable, __file__, *sys.argv[1:], "--rank", str(rank), "--folder", folder], env=environment)
                 for rank in range(arguments.workers)]
        try:
            statuses = [process.wait() for process in ranks]
        finally:
            for process in ranks:
                process.kill()
    return max(statuses)


def rank_process(arguments):
    import torch
    import torch.distributed as dist

    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{arguments.folder}/meeting", rank=arguments.rank, world_size=arguments.workers)
    size, rank = arguments.workers, arguments.rank
    count = arguments.bytes // 4 // size * size
    torch.manual_seed(rank)
    original = torch.rand(count) - 0.5
    gradient, share, parts = original.clone(), torch.empty(count // size), [torch.empty(count // size) for _ in range(size - 1)]
    peers = [(rank + step) % size for step in range(1, size)]

    def all_reduce():
        dist.all_reduce(gradient)

    def reduce_scatter():
        dist.reduce_scatter_tensor(share, gradient)
        dist.all_gather_into_tensor(gradient, share)

    def by_hand():
        slices = gradient.chunk(size)
        pending = [dist.irecv(part, peer) for part, peer in zip(parts, peers)] + [dist.isend(slices[peer], peer) for peer in peers]
        for request in pending:
            request.wait()
        torch.add(slices[rank], parts[0], out=share)
        for part in parts[1:]:
            share.add_(part)
        dist.all_gather_into_tensor(gradient, share)

    result = {"torch": torch.__version__, "workers": size, "bytes": 4 * count}
    for name, exchange in (("all_reduce", all_reduce), ("reduce_scatter", reduce_scatter), ("by_hand", by_hand)):
        times = []
        try:
            for number in range(arguments.rounds + 2):
                gradient.copy_(original)
                dist.barrier()
                start = time.perf_counter()
                exchange()
                if number >= 2:
                    times.append(time.perf_counter() - start)
        except (RuntimeError, AttributeError) as error:
            print(f"{name}: {str(error).splitlines()[0]}", file=sys.stderr)
            continue
        slowest = torch.tensor(times, dtype=torch.float64)
        dist.all_reduce(slowest, op=dist.ReduceOp.MAX)
        result[f"{name}_milliseconds"] = statistics.median(slowest.tolist()) * 1e3
        result[f"best_{name}_milliseconds"] = min(slowest.tolist()) * 1e3
    if rank == 0:
        print(json.dumps(result), flush=True)
    dist.destroy_process_group()
    return 0


if __name__ == "__main__":
    sys.exit(main())
