"""A headless Chromium for tests: the DevTools protocol over a pair of pipes, JSON between NUL bytes."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
SWITCHES = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-pipe")
PATIENCE = 120.0  # seconds for an answer, before the browser is given up
LAUNCH = """
import fcntl, os, sys
ends = [fcntl.fcntl(int(end), fcntl.F_DUPFD, 10) for end in sys.argv[1:3]]
for place, end in enumerate(ends, start=3):
    os.dup2(end, place)
os.execv(sys.argv[3], sys.argv[3:])
"""  # It reads from descriptor 3 and writes to 4, whatever numbers the pipes have here.
FAULTS = ("Runtime.exceptionThrown", "Runtime.consoleAPICalled", "Log.entryAdded")


def chromium():
    """The first browser there is, None without one."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page in a browser; `faults` collects what the page throws, logs, or is refused by its policy."""

    def __init__(self):
        self.profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)  # Written to until the very end.
        theirs_in, self.out = os.pipe()
        self.into, theirs_out = os.pipe()
        switches = [*SWITCHES, f"--user-data-dir={self.profile.name}"]
        command = [sys.executable, "-c", LAUNCH, str(theirs_in), str(theirs_out), chromium(), *switches]
        self.process = subprocess.Popen(command, pass_fds=(theirs_in, theirs_out), stderr=subprocess.DEVNULL)
        os.close(theirs_in)
        os.close(theirs_out)
        self.number, self.session, self.faults, self.loaded, self.read = 0, None, [], False, bytearray()

    def __enter__(self):
        try:
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        os.close(self.out)
        os.close(self.into)
        self.profile.cleanup()

    def call(self, method, **params):
        """Send one command; its result."""
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        message |= {} if self.session is None else {"sessionId": self.session}
        os.write(self.out, json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != self.number:
            self._note(answer)
        assert "error" not in answer, answer
        return answer["result"]

    def open(self, path):
        """Load a file, until its load event."""
        self.loaded = False
        self.call("Page.navigate", url=Path(path).resolve().as_uri())
        while not self.loaded:
            self._note(self._next())

    def evaluate(self, expression):
        """The value of an expression in the page; promises are awaited."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def _note(self, event):
        self.loaded |= event.get("method") == "Page.loadEventFired"
        if event.get("method") in FAULTS:
            self.faults.append(event["params"])

    def _next(self):
        while (end := self.read.find(b"\0")) < 0:
            assert select.select([self.into], [], [], PATIENCE)[0], "the browser does not answer"
            piece = os.read(self.into, 1 << 16)
            assert piece, "the browser has ended"
            self.read += piece
        message = json.loads(self.read[:end])
        del self.read[: end + 1]
        return message
