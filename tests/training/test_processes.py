"""Two processes that train together come to what one comes to on the same batches."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.training import processes_run

HELPER = Path(processes_run.__file__)


def start(folder):
    """Two processes on the CPU, as torchrun starts them (which is in test_command)."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    environment["PYTHONPATH"] = str(HELPER.parents[2])
    return subprocess.Popen(
        [sys.executable, str(HELPER), str(folder), "two"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The folder of what two processes have left, and what one; and what the two have said."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LESSONS_MAX_STEPS", raising=False)
        folder = tmp_path_factory.mktemp("processes")
        process = start(folder)
        processes_run.main(folder, "one")
        said, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return folder, said


def read(folder, name):
    return load_file(folder / f"{name}.safetensors"), json.loads((folder / f"{name}.json").read_text())


@pytest.mark.parametrize("accumulate", [1, 3])
def test_two_processes_equal_one(results, accumulate):
    folder, _ = results
    weights, record = read(folder, f"one-{accumulate}-0")
    for rank in (0, 1):
        its_weights, its_record = read(folder, f"two-{accumulate}-{rank}")
        for name in weights:
            torch.testing.assert_close(its_weights[name], weights[name], rtol=0, atol=2e-6, msg=name)
        assert its_record["tokens"] == record["tokens"]
        for key in ("losses", "gradient_norms", "learning_rates"):
            assert its_record[key] == pytest.approx(record[key], abs=2e-6), key
        assert its_record["evaluation_steps"] == record["evaluation_steps"] == [3, 4, 6, 8]


def test_both_end_with_the_same_bits(results):
    for accumulate in (1, 3):
        (one, _), (two, _) = (read(results[0], f"two-{accumulate}-{rank}") for rank in (0, 1))
        assert all(torch.equal(one[name], two[name]) for name in one)


def test_only_the_main_one_speaks_and_both_resume(results):
    _, said = results
    assert said.splitlines() == [f"Resumed at step 4 of 8 from two-{n}." for n in (1, 3)]
