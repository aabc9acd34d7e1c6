"""A library in a separate process, ended if an answer takes too long."""

import json
import os
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]

Answer = dict[str, float | str | list[float]]


@dataclass(eq=False)
class Peer:
    """One library and one case in a process: `ask` sends a command and waits for the answer.

    interpreter: of the environment that has the library; patience: maximum seconds for
    an answer. After the process has ended, every answer is "failed" with the reason.
    """

    interpreter: str
    name: str
    case: str
    size: int
    patience: float
    over: str = field(default="", init=False)

    def __enter__(self) -> "Peer":
        command = [
            self.interpreter,
            "-m",
            "scripts.benchmarks.ode.peers",
            self.name,
            self.case,
            str(self.size),
        ]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
        )
        return self

    def __exit__(self, *reasons: object) -> None:
        self.process.kill()
        self.process.communicate()

    def ask(self, command: str) -> Answer:
        """Return the answer to a command, or {"failed": reason}."""
        if self.over:
            return {"failed": self.over}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        alarm = threading.Timer(self.patience, self._end)
        alarm.start()
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        finally:
            alarm.cancel()
        if not line:
            self.over = self.over or f"the process ended with code {self.process.wait()}"
            return {"failed": self.over}
        return json.loads(line)

    def _end(self) -> None:
        self.over = f"not done after {self.patience:g} s"
        self.process.kill()


def spent(answer: Answer) -> float:
    """Return the seconds of an answer, nan for a failure."""
    return float(answer.get("seconds", "nan"))  # type: ignore[arg-type]
