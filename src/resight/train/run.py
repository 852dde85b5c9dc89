"""One training run in one folder: what every kind of training shares. It may be killed and called again.

A run folder holds `config.toml`, `log.jsonl`, `validation.jsonl`, `run.json`, `last/` (exact resume) and
`model.safetensors`. Everything random depends on seed and step alone, so a run killed and resumed logs the losses and
scores of an unbroken one; one that is finished is left as it is.
Proof: tests/train/test_embedder.py and tests/train/test_parser.py kill runs and compare.
"""

from __future__ import annotations

import json
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from resight.data.files import add_json_line, read_json_lines, write_beside, write_json, write_text
from resight.errors import BadRecipe, BadWeights, TrainingStopped
from resight.train.loop import Objective, Step, WeightAverage, classes_named, seed_of, training_steps
from resight.train.resources import peak_device_mib, peak_host_mib, shared_mib, surroundings

LOG: Final = "log.jsonl"
VALIDATION: Final = "validation.jsonl"
SAVE_EVERY_S: Final = 120.0
SAMPLES: Final = 100
"""Times that the memory of a whole run is looked at."""
WEIGHTS: Final = "model.safetensors"
FACTS: Final = "run.json"
Watcher = Callable[[str, dict[str, Any]], Mapping[str, Any] | None]
"""Called with an event's name and its facts, on the first process.

Events are "start", "step", "stage" (its answer, if any, is a line of `validation.jsonl`), "end", and in place of all of
them "finished" where nothing was left to do.
"""


class FolderRun:
    """A network that learns in a folder: resuming, logging, saving and stopping, whatever it learns."""

    def __init__(
        self,
        folder: Path,
        *,
        network: nn.Module,
        optimizer: Callable[[nn.Module], torch.optim.Optimizer],
        precision: str,
        average: float,
        seed: int,
        data: str,
        steps: int,
        watch: Watcher,
    ) -> None:
        self.folder, self.seed, self.steps, self.watch = folder, seed, steps, watch
        mixed = {"fp32": "no"}.get(precision, precision)
        self.accelerator = Accelerator(mixed_precision=mixed, cpu=not torch.cuda.is_available())
        processes = self.accelerator.num_processes  # chance depends on it
        self.data_print = data if processes == 1 else f"{data} on {processes} processes"
        network = network.to(self.accelerator.device)
        self.network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = optimizer(self.network)
        self.average = WeightAverage(self.network, decay=average) if average else None
        self.step, self.saved_step, self.seconds, self.saved_at = 0, 0, 0.0, time.monotonic()
        self.started = time.monotonic()
        self.sittings: list[dict[str, Any]] = []  # of earlier calls
        self.came = (0, 0.0)  # step and seconds that they reached
        self.interrupted = False
        self.memory: list[tuple[int, float]] = []  # step, MiB of host memory without mapped files
        self.surroundings = surroundings()  # of the start: the source may change while a long run goes on

    @property
    def weights(self) -> Path:
        """The file that a whole run leaves."""
        return self.folder / WEIGHTS

    @property
    def leads(self) -> bool:
        return bool(self.accelerator.is_main_process)

    def state(self) -> dict[str, Tensor]:
        """The weights that are saved and scored: the moving average where there is one."""
        return self.average.values if self.average else self.network.state_dict()

    def learn(
        self,
        batches: Iterator[tuple[Tensor | tuple[Tensor, ...], Any]],
        objective: Objective,
        *,
        rate: Callable[[int], float],
        save_every: int,
        accuracy: Callable[[Any, Any], float] = classes_named,
    ) -> None:
        """Step on every batch, from the step that is next; `save_every` steps the state is written.

        Raises TrainingStopped when a loss is not finite: `last/` keeps the newest good state. Ctrl-C ends the step that
        is under way and saves, so that the state is of one step; a second one ends at once.
        """
        if self.step == 0:  # so that there is a good state whatever happens first
            self.save()
        self.network.train()
        self.accelerator.free_memory()  # an older wrapper would still hook into the gradients
        wrapped, optimizer = self.accelerator.prepare(self.network, self.optimizer)
        log = (self.folder / LOG).open("a", encoding="utf-8") if self.leads else None
        first, backward = self.step + 1, self.accelerator.backward

        def forward(*inputs: Tensor) -> Any:
            """What drops out depends on seed and step too."""
            torch.manual_seed(seed_of(self.seed, 4, self.step + 1, self.accelerator.process_index))
            return wrapped(*inputs)

        try:
            with self._interrupts_noted():
                for step in training_steps(
                    forward, optimizer, batches, objective, rate=rate, first=first, backward=backward, accuracy=accuracy
                ):
                    self._after(step, log, save_every)
        finally:
            if log:
                log.close()
        if self.saved_step < self.step:
            self.save()

    def validate(self, place: Mapping[str, int], **facts: Any) -> None:
        """Tell the end of a stretch, "stage"; what the watcher answers follows `place` in a line of `validation.jsonl`.

        A stretch that has its line is not told again, so one that was scored when the run was killed gets it later.
        """
        path = self.folder / VALIDATION
        scored = any(place.items() <= line.items() for line in read_json_lines(path))
        if self.leads and not scored and (scores := self.watch("stage", {**facts, "state": self.state()})):
            add_json_line(path, {**place, **scores})
        self.accelerator.wait_for_everyone()

    @contextmanager
    def _interrupts_noted(self) -> Iterator[None]:
        """Note the first Ctrl-C; what ignores it, or handles it elsewhere than in the main thread, stays as it is."""
        before = signal.getsignal(signal.SIGINT)
        if not callable(before) or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: Any) -> None:
            if self.interrupted:
                before(number, frame)
            self.interrupted = True

        signal.signal(signal.SIGINT, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, before)

    def _after(self, step: Step, log: Any, save_every: int) -> None:
        if not all(np.isfinite(value) for value in step.losses.values()):
            raise TrainingStopped(
                f"A loss was not finite at step {step.number} ({step.losses}). `{self.folder / 'last'}` keeps the "
                f"state of step {self.saved_step}; lower `learning-rate` and train into a new folder."
            )
        self.step, self.seconds = step.number, time.monotonic() - self.started
        if self.average:
            self.average.update(self.network, step.number)
        if log:
            log.write(json.dumps(asdict(step)) + "\n")
        if time.monotonic() - self.saved_at > SAVE_EVERY_S or step.number % save_every == 0:
            if log:
                log.flush()
            self.save()
        if step.number == self.came[0] + 1 or step.number % max(1, self.steps // SAMPLES) == 0:
            self.memory.append((step.number, round(shared_mib(), 1)))
        self.tell("step", step=step, seconds=self.seconds, done=step.number / self.steps, host_mib=self.memory[-1][1])
        if self.interrupted:
            self.save()
            raise KeyboardInterrupt

    def tell(self, event: str, **facts: Any) -> None:
        """Call the watcher on the first process; the others wait where it may take long."""
        if self.leads:
            self.watch(event, facts)
        self.accelerator.wait_for_everyone() if event != "step" else None

    def save(self) -> None:
        """Write everything that the next step depends on; killed in the middle, the former state stays."""
        self.saved_at, self.saved_step = time.monotonic(), self.step
        if not self.leads:
            return
        state = {
            "step": self.step,
            "seconds": self.seconds,
            "network": self.network.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.values if self.average else None,
            "scaler": self.accelerator.scaler.state_dict() if self.accelerator.scaler else None,
            "data": self.data_print,
            "memory": self.memory,
            "sittings": self.all_sittings(),
        }
        with write_beside(self.folder / "last" / "state.pt") as partial:
            torch.save(state, partial)

    def begin(self, **facts: Any) -> bool:
        """Go on from what is saved; False where nothing is left to do, and then nothing is changed."""
        self.resume()
        finished = self.step == self.steps and self.weights.exists() and (self.folder / FACTS).exists()
        self.tell("finished" if finished else "start", steps=self.steps, step=self.step, **facts)
        return not finished

    def resume(self) -> None:
        """Go back to the saved state, if there is one, and forget what was logged after it."""
        path = self.folder / "last" / "state.pt"
        if path.exists():
            try:
                state = torch.load(path, map_location="cpu", weights_only=True)
                if state["data"] != self.data_print:
                    raise BadRecipe(
                        f"{self.folder} was trained on other pictures, persons, part maps or things to paste, or on "
                        "another number of processes. Choose a new folder for `--out`."
                    )
                self.network.load_state_dict(state["network"])
                self.optimizer.load_state_dict(state["optimizer"])
            except (RuntimeError, ValueError, KeyError, EOFError, pickle.UnpicklingError) as error:
                what = str(error).splitlines()[0] if str(error) else type(error).__name__
                raise BadWeights(
                    f"{path} is damaged or holds another network than this recipe's ({what}). Choose a new folder for "
                    "`--out`."
                ) from error
            if self.average and state["average"] is not None:
                self.average.values = {
                    name: value.to(self.accelerator.device) for name, value in state["average"].items()
                }
            if self.accelerator.scaler and state.get("scaler"):
                self.accelerator.scaler.load_state_dict(state["scaler"])
            self.step = self.saved_step = state["step"]
            self.seconds = state["seconds"]
            self.memory, self.sittings = state.get("memory", []), state.get("sittings", [])
            self.came = (self.step, self.seconds)
        if self.leads:
            self._forget()
        self.started = time.monotonic() - self.seconds

    def _forget(self) -> None:
        """Leave of the logs what belongs to the steps that are done; lines that were cut off belong to none."""
        for name, key in ((LOG, "number"), (VALIDATION, "step")):
            path = self.folder / name
            before = path.read_text(encoding="utf-8") if path.exists() else ""
            kept = [line for line in read_json_lines(path) if self.step and line.get(key, 0) <= self.step]
            after = "".join(json.dumps(line) + "\n" for line in kept)
            if after != before:
                write_text(path, after)
        if not self.step:
            (self.folder / FACTS).unlink(missing_ok=True)

    def all_sittings(self) -> list[dict[str, Any]]:
        """What each call of the run used and how far it came, the present one last; one that did no step is left out.

        Seconds are those whose steps were kept; those of the last scoring are in none.
        """
        first, seconds = self.came
        now = {
            **self.surroundings,
            "steps": [first + 1, self.step],
            "seconds": round(self.seconds - seconds, 1),
            "peak_host_mib": round(peak_host_mib(), 1),
            "peak_device_mib": peak_device_mib(),
        }
        return [*self.sittings, now] if self.step > first else self.sittings

    def write_facts(self, **more: object) -> None:
        """Write `run.json`: commit, versions and machine of the last sitting, time and peaks of all, and each one's."""
        sittings = self.all_sittings()
        facts = {
            **{key: sittings[-1][key] if sittings else value for key, value in self.surroundings.items()},
            "data": self.data_print,
            "seed": self.seed,
            **more,
            "processes": self.accelerator.num_processes,
            "seconds": round(self.seconds, 1),
            "peak_host_mib": max([one["peak_host_mib"] for one in sittings] or [round(peak_host_mib(), 1)]),
            "host_mib": self.memory,
            "peak_device_mib": max((one["peak_device_mib"] or 0.0 for one in sittings), default=0.0) or None,
            "sittings": sittings,
        }
        write_json(self.folder / FACTS, facts)
