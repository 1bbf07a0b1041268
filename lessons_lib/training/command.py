"""`lessons train`: a GPT or BERT of one's own, from a text to a folder with the model, by one command.

The command may be stopped and given again, and goes on; it runs in one process or in several.
"""

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import nn

from lessons_lib.assets import AssetError
from lessons_lib.models.checks import check_sizes
from lessons_lib.text.corpora import Corpus, load_text
from lessons_lib.training.accelerated import PRECISIONS, on_cpu
from lessons_lib.training.checkpoints import DamagedCheckpointError
from lessons_lib.training.failure import NotFiniteError
from lessons_lib.training.history import History
from lessons_lib.training.judging import Write, in_words, judge, log_lines, samples
from lessons_lib.training.loop import fit
from lessons_lib.training.objectives import causal_lm_loss, masked_lm_loss
from lessons_lib.training.planning import Budget, Plan, Size, count_parameters, make_plan, measure, parse_size
from lessons_lib.training.preparing import EVALUATED, Material, prepare
from lessons_lib.training.run_folder import RunFolder, text_hash

STORIES = 20_000  # of the Town, which has as many as one likes
MEASURED = 4096  # tokens to a step while a CPU's speed is measured
LOSSES = {"gpt": causal_lm_loss, "bert": masked_lm_loss}

Draw = Callable[[History, str], bytes]  # (history, title) → a PNG


@dataclass(frozen=True)
class Request:
    """What the command line asks for. Raises ValueError for what does not go together."""

    kind: str
    data: str
    budget: str
    out: str
    config: str | None = None
    recipe: str | None = None
    precision: str | None = None
    accumulate: int = 1
    seed: int = 0

    def __post_init__(self):
        if self.kind not in LOSSES:
            raise ValueError(f"There is nothing to train of the kind {self.kind!r}; there are {' and '.join(LOSSES)}.")
        if self.recipe not in (None, "gpt2", "modern") or (self.kind == "bert" and self.recipe is not None):
            raise ValueError(f"The recipe is {self.recipe!r}; for gpt there are gpt2 and modern, for bert only one.")
        if self.precision not in (None, *PRECISIONS):
            raise ValueError(f"The precision is {self.precision!r}; it must be one of {', '.join(PRECISIONS)}.")
        check_sizes(accumulate=self.accumulate)
        Budget.parse(self.budget)

    def settings(self, corpus: Corpus) -> dict[str, Any]:
        """What decides the run's outcome: all of this but the folder, and the text itself."""
        wanted = {name: value for name, value in asdict(self).items() if name != "out"}
        return wanted | {"a text of the hash": text_hash(corpus.documents)}


def train_command(*, write: Write, draw: Draw, **request: Any) -> int:
    """Do what the command line asks for, see `Request`; return the exit status.

    0: done; 1: training failed; 2: it could not begin, and says why; 130: stopped on the way. `write` continues
    prompts, for samples; `draw` makes the loss curve: both live in rooms that this one must not know.
    """
    main, problem, session, folder = _rank() == 0, None, None, RunFolder(request["out"])
    try:
        if main:
            try:
                session = _begin(Request(**request), folder)
            except (AssetError, OSError, ValueError) as error:
                problem = str(error)
        if _processes() > 1:
            problem = _told_by_main(problem)
        if problem is None:
            session = session or _join(Request(**request), folder)
            with _termination_as_interrupt():
                return session.run(write, draw)
    except (DamagedCheckpointError, NotFiniteError, OSError) as error:
        problem = str(error)
    finally:
        folder.release()
    if main:
        print(f"lessons: {problem}", file=sys.stderr)
    return 2 if session is None else 1


def _begin(request: Request, folder: RunFolder) -> "_Session":
    """Text, tokenizer and plan, made or found in the folder."""
    budget, size = Budget.parse(request.budget), parse_size(request.config) if request.config else None
    corpus = load_text(request.data, n=STORIES)
    settings = request.settings(corpus)
    plan = folder.claim(settings)
    print(f"text     {corpus!r}", flush=True)
    material = prepare(request.kind, corpus, folder.data, progress=True)
    if plan is None:
        plan = make_plan(
            request.kind,
            request.recipe or "gpt2",
            material.tokenizer.vocab_size,
            (len(material.ids), len(material.held_out_ids)),
            budget,
            size,
            request.seed,
            partial(_speed, request, material),
        )
        material.batches(plan.size.context_length, plan.size.rows, plan.seed)  # is the text long enough?
        if plan.size.rows < request.accumulate * _processes():
            raise ValueError(
                f"A batch of {plan.size.rows} rows cannot be shared by {_processes()} process(es) in "
                f"{request.accumulate} parts each: give a smaller --accumulate, or more rows by --config …,rows=64."
            )
        folder.keep(settings, plan)
    return _Session(request, folder, material, plan, print)


def _join(request: Request, folder: RunFolder) -> "_Session":
    """What the main process has made ready."""
    corpus = load_text(request.data, n=STORIES, progress=False)
    return _Session(request, folder, prepare(request.kind, corpus, folder.data), folder.plan(), lambda line: None)


class _Session:
    """One process of a run: what it trains, on what, and to whom it speaks."""

    def __init__(
        self, request: Request, folder: RunFolder, material: Material, plan: Plan, say: Callable[[str], object]
    ):
        self.request, self.folder, self.material, self.plan, self.say = request, folder, material, plan, say
        self.batches = material.batches(plan.size.context_length, plan.size.rows, plan.seed)
        self.model = plan.new_model().to(_device())
        self.facts = list(_facts(self.model, material, plan))

    def run(self, write: Write, draw: Draw) -> int:
        """Train to the end of the plan, or until Ctrl-C; then show what came of it."""
        plan, main = self.plan, _rank() == 0
        self.say("\n".join(self.facts))
        torch.manual_seed(plan.seed)
        history = fit(
            self.model,
            self.batches,
            loss=LOSSES[plan.kind],
            steps=plan.steps,
            optimizer=plan.optimizer(self.model),
            schedule=plan.schedule(),
            evaluate=lambda model: judge(model, self.batches),
            evaluate_every=plan.evaluate_every(EVALUATED),
            report=partial(self._report, draw) if main else None,
            accumulate=self.request.accumulate,
            precision=_precision(self.request),
            checkpoint=self.folder.checkpoints,
            progress=main,
        )
        if history.stopped and history.stopped.startswith("interrupted"):
            self.say("Give the same command again to go on.")
            return 130
        if main:
            self._finish(history, write)
        return 0

    def _report(self, draw: Draw, history: History) -> None:
        """After an evaluation: a line on the screen, the log and the curve anew, the weights if they are the best."""
        from tqdm import tqdm

        losses = history.evaluated()[1]
        if (losses[-1] < losses[:-1]).all():
            self.folder.keep_best(self.model)
        lines = list(log_lines(history, self.plan.size.step_tokens))
        tqdm.write(lines[-1])
        self.folder.put(self.folder.log, "\n".join([f"lessons train {self.plan.kind}", *self.facts, *lines, ""]))
        self.folder.put(self.folder.curve, draw(history, f"{self.plan.kind} on {self.request.data}"))

    def _finish(self, history: History, write: Write) -> None:
        """The best weights, samples of what they can do, and the folder `model`."""
        steps, losses = history.evaluated()
        best = int(losses.argmin())
        self.folder.load_best(self.model)
        self.say(f"best     after {steps[best]:,} steps: held out {in_words(history.evaluations[best])}")
        for line in samples(self.model, self.batches, write):
            self.say(line)
        how = self.folder.export(self.model, self.material.tokenizer, ours=self.plan.recipe == "modern")
        self.say(f"log      {self.folder.log}; {self.folder.curve.name} beside it\nmodel    {how}")


def _facts(model: nn.Module, material: Material, plan: Plan) -> Iterator[str]:
    """What is trained on what, and why so: the head of the log."""
    size, held_out = plan.size, len(material.held_out_ids)
    yield f"tokens   {len(material.ids):,}, and {held_out:,} held out; a vocabulary of {plan.vocab_size:,}"
    yield from (f"size     {reason}" for reason in plan.reasons)
    yield (
        f"model    {count_parameters(model):,} parameters: {size.n_layers} layers of width {size.d_model}, "
        f"{size.n_heads} heads, context {size.context_length}, dropout {size.dropout:g}"
    )
    yield (
        f"plan     {plan.steps:,} steps of {size.step_tokens:,} tokens, "
        f"{plan.steps * size.step_tokens / len(material.ids):.1f} times the text, "
        f"learning rate {size.learning_rate:g}, on {_device().type}"
    )


def _speed(request: Request, material: Material, model: nn.Module, size: Size) -> float:
    """Training tokens per second of all processes together."""
    device = _device()
    rows = max(1, size.rows // request.accumulate)
    if device.type == "cpu":
        rows = min(rows, max(1, MEASURED // size.context_length))
    batches = material.batches(size.context_length, rows, request.seed)
    model = model.to(device)
    size = replace(size, learning_rate=1e-9)
    optimizer = Plan(request.kind, request.recipe or "gpt2", 0, size, 1, request.seed).optimizer(model)
    half = torch.autocast(device.type, torch.bfloat16) if _precision(request) == "bfloat16" else nullcontext()

    def step() -> int:
        from accelerate.utils import send_to_device

        with half:
            loss, _ = LOSSES[request.kind](model, send_to_device(batches(0), device))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return rows * size.context_length

    on_gpu = device.type == "cuda"
    rate = measure(step, wait=torch.cuda.synchronize if on_gpu else lambda: None)
    return rate * (_processes() if on_gpu else 1)


def _precision(request: Request) -> str | None:
    return request.precision or ("bfloat16" if _device().type == "cuda" else None)


def _device() -> torch.device:
    """This process's: its own GPU, or the CPU."""
    if not torch.cuda.is_available() or (_processes() > 1 and on_cpu()):
        return torch.device("cpu")
    return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))


def _rank() -> int:
    return int(os.environ.get("RANK", "0"))


def _processes() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _told_by_main(problem: str | None) -> str | None:
    """What the main process says, on every process, when it is ready."""
    from accelerate.state import PartialState
    from accelerate.utils import broadcast_object_list

    PartialState(cpu=on_cpu())
    return broadcast_object_list([problem])[0]


@contextmanager
def _termination_as_interrupt() -> Iterator[None]:
    """Inside, SIGTERM, by which clusters and launchers end a process, acts as Ctrl-C does: the state is kept."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
