"""Progress of a run on the terminal: a bar with the time left, or a line now and then where the output is a file."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

LINE = 50  # iterations from one line to the next, where the output is no terminal
BAR = "iteration {n} of at most {total} [{elapsed}, at most {remaining} left, {rate_fmt}]{postfix}"


@contextmanager
def progress(total: int, quiet: bool) -> Iterator[Callable[[int, str], None]]:
    """Yield a function of the iteration's number and a text, to be called once an iteration; total: at most so many."""
    terminal = sys.stdout.isatty()
    with tqdm(
        total=total, unit="it", bar_format=BAR, disable=quiet or not terminal, file=sys.stdout
    ) as bar:

        def show(iteration: int, text: str) -> None:
            bar.set_postfix_str(text, refresh=False)
            bar.update()
            if not (terminal or quiet) and iteration % LINE == 0:
                print(f"iteration {iteration} of at most {total}: {text}", flush=True)

        yield show
