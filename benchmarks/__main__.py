"""Run every benchmark and print how we compare: `python -m benchmarks`, or `python -m benchmarks --repeats 15`."""

import argparse
import platform

import torch
import transformers

from benchmarks import bert_step, gpt_step, gpt_writing, utilisation
from benchmarks.timing import table


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side-by-side timings.")
    parser.add_argument("--repeats", type=int, default=7, help="turns of each side (default 7)")
    repeats = parser.parse_args().repeats
    print(
        f"Python {platform.python_version()}, torch {torch.__version__}, transformers {transformers.__version__}, "
        f"{torch.get_num_threads()} thread(s). Medians over {repeats} turns, in brackets the least and the most."
    )
    print(table([benchmark.compare(repeats=repeats) for benchmark in (bert_step, gpt_step, gpt_writing)]))
    print(utilisation.measure(repeats=repeats))


if __name__ == "__main__":
    main()
