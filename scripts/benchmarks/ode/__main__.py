"""Gradients of initial value problems: error over time, ours and of other libraries.

    python -m scripts.benchmarks.ode --out out/ode --peers PYTHON --peers ANOTHER_PYTHON

Each other library runs in a separate process, under the first of the given
interpreters that has the library. Each of its runs is timed between two runs of one run
of ours, on the same cores. The seconds are the median ratio times the median seconds of
our run.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np

import adjoint
from adjoint.typing import Array
from scripts.benchmarks.ode.anchor import Anchor
from scripts.benchmarks.ode.cases import Case, Unsuited, brusselator, lotka_volterra, robertson
from scripts.benchmarks.ode.figures import Row, work_precision
from scripts.benchmarks.ode.ours import BYTES, METHODS, TOLERANCES, Ours, exact, ours
from scripts.benchmarks.ode.peers.libraries import PEERS
from scripts.benchmarks.ode.process import Peer, spent

CELLS = 32  # cells along a side in the work–precision diagram
SIDES = (8, 16, 32, 64, 128)
RATIOS = (32, 64, 128)
PEER_TOLERANCES = (1e-4, 1e-6, 1e-8, 1e-10)
RATIOS_OF = {"TR-BDF2": 1e-4, "ESDIRK4": 1e-4, "ESDIRK5": 1e-5}
"""Methods whose reverse sweep is compared with the forward sweep, and their rtol."""
NEEDED = {"diffrax, reverse": 1e-4, "diffrax, forward mode": 1e-4}
"""rtol for an error of about 10⁻⁶ in the gradient of the Brusselator; 1e-8 for the other
libraries, which use BDF.
"""
PATIENCE = 60.0  # maximum seconds for one answer of another library
EXACT = {"Robertson": 0.0, "Lotka-Volterra": 1e-13, "Brusselator": 1e-10}
TARGET = 1e-6  # the error at which times are compared

Interpreters = dict[str, str]


def main(out: Path, small: bool, rounds: int, given: list[str]) -> dict[str, object]:
    """Measure everything; returns and writes the numbers, and a figure per case.

    given: interpreters that may have other libraries.
    """
    out.mkdir(parents=True, exist_ok=True)
    interpreters = found(given)
    results: dict[str, object] = {"not installed": sorted(set(PEERS) - set(interpreters))}
    results["Brusselator: adjoint / forward"] = {
        k: ratios(k, 3 * rounds) for k in ((8,) if small else RATIOS)
    }
    save(out, results)
    side = 8 if small else CELLS
    for case, cells in ((robertson(), 0), (lotka_volterra(), 0), (brusselator(side), side)):
        rows = diagram(case, cells, small, rounds, interpreters)
        results[case.name] = rows
        results[f"{case.name}: error below {TARGET:g}"] = quickest(rows)
        save(out, results)
        subtitle = (
            f"{case.u0.size} unknowns, {case.p.size} parameters; "
            "value and gradient, compilation not counted"
        )
        work_precision(out / f"{case.name.lower()}.png", case.name, subtitle, rows)
    for k in (8,) if small else SIDES:
        results[f"Brusselator: {k}x{k}"] = size(k, rounds, interpreters)
        save(out, results)
    return results


def save(out: Path, results: dict[str, object]) -> None:
    """Write the numbers so far."""
    (out / "ode.json").write_text(json.dumps(results, indent=1) + "\n")


def found(given: list[str]) -> Interpreters:
    """Return the first interpreter that has each library."""
    have: Interpreters = {}
    for interpreter in given:
        question = (
            "import sys, importlib.util as i; print(*[bool(i.find_spec(p)) for p in sys.argv[1:]])"
        )
        packages = [package for package, _ in PEERS.values()]
        words = subprocess.run(
            [interpreter, "-c", question, *packages], capture_output=True, text=True, check=True
        )
        for name, word in zip(PEERS, words.stdout.split(), strict=True):
            if word == "True":
                have.setdefault(name, interpreter)
    return have


def diagram(
    case: Case, cells: int, small: bool, rounds: int, interpreters: Interpreters
) -> list[Row]:
    """Run all libraries on a case at all tolerances.

    cells: along a side, for the Brusselator.
    """
    best, anchor, rows = exact(case, 1e-8 if small else EXACT[case.name]), Anchor.of(case), []
    for name in METHODS[case.name]:
        for rtol in TOLERANCES[name][:1] if small else TOLERANCES[name]:
            rows.append(
                own(
                    name,
                    ours(case, name, rtol, adjoint.checkpointing.Budget(BYTES)),
                    anchor,
                    rounds,
                    best,
                )
            )
            report(case, rows[-1])
    for name, interpreter in interpreters.items():
        with Peer(interpreter, name, case.name, cells, PATIENCE) as peer:
            for rtol in PEER_TOLERANCES[:1] if small else PEER_TOLERANCES:
                rows.append(theirs(peer, case, rtol, anchor, rounds, best))
                report(case, rows[-1])
                if peer.over or str(rows[-1].get("failed")).startswith(Unsuited.__name__):
                    break
    return rows


def report(case: Case, row: Row) -> None:
    """Print a row."""
    numbers = ", ".join(
        f"{k} {v:.3g}" if isinstance(v, float) else v for k, v in row.items() if k != "library"
    )
    print(f"{case.name} ({case.u0.size}), {row['library']}: {numbers}", flush=True)


def own(name: str, task: Ours, anchor: Anchor, rounds: int, best: Array) -> Row:
    """Return the row of a run of ours."""
    first = task()
    seconds, over = anchor.compared(lambda: task().seconds, first.seconds, rounds)
    row: Row = {
        "library": f"ours, {name}",
        "rtol": task.rtol,
        "seconds": seconds,
        "over ours": over,
    }
    return row | {"steps": first.steps, "error": task.case.error(first.gradient, best)}


def theirs(peer: Peer, case: Case, rtol: float, anchor: Anchor, rounds: int, best: Array) -> Row:
    """Return the row of a run of another library.

    `first, s` includes compilation; `value, s` is without the gradient.
    """
    row: Row = {"library": peer.name, "rtol": rtol}
    first, again = peer.ask(f"prepare {rtol!r}"), peer.ask("gradient")
    for answer in (first, again):
        if "failed" in answer:
            return row | {"failed": str(answer["failed"])}
    seconds, over = anchor.compared(lambda: spent(peer.ask("gradient")), spent(again), rounds)
    value = [spent(peer.ask("value")) for _ in range(2)][1]
    row |= {"seconds": seconds, "over ours": over, "first, s": spent(first), "value, s": value}
    error = case.error(np.array(first["gradient"]), best)
    return row | {"error": error, "f differs by": float(first["f differs by"])}  # type: ignore[arg-type]


def quickest(rows: list[Row]) -> dict[str, dict[str, float]]:
    """Return the quickest run of each library with an error below TARGET."""
    best: dict[str, dict[str, float]] = {}
    for row in sorted((row for row in rows if "error" in row), key=lambda row: row["seconds"]):
        if float(row["error"]) <= TARGET:
            kept = ("rtol", "seconds", "over ours", "first, s", "error")
            best.setdefault(str(row["library"]), {k: float(row[k]) for k in kept if k in row})
    return best


def ratios(k: int, rounds: int) -> list[Row]:
    """Return reverse over forward seconds with everything stored, and with states alone.

    rounds: measurements, of which the rows hold the medians.
    """
    case, rows = brusselator(k), []
    for method, rtol in RATIOS_OF.items():
        row: Row = {"library": f"ours, {method}", "rtol": rtol}
        row |= {"unknowns": float(case.u0.size), "parameters": float(case.p.size)}
        for name, memory in {
            "everything": adjoint.checkpointing.Everything(),
            "states": adjoint.checkpointing.States(),
        }.items():
            task = ours(case, method, rtol, memory)
            task()
            runs = [task() for _ in range(rounds)]
            row[f"{name}: adjoint / forward"] = float(
                np.median([run.reverse / run.forward for run in runs])
            )
            row[f"{name}: forward, s"] = float(np.median([run.forward for run in runs]))
            row[f"{name}: adjoint, s"] = float(np.median([run.reverse for run in runs]))
        report(case, row)
        rows.append(row)
    return rows


def size(k: int, rounds: int, left: Interpreters) -> list[Row]:
    """Run every library of `left` on k × k cells at about one accuracy.

    A library that fails is removed from `left`.
    """
    case = brusselator(k)
    anchor, best = Anchor.of(case), exact(case, 1e-8)
    rows = [own("ESDIRK5", anchor.run, anchor, rounds, best)]
    report(case, rows[-1])
    for name, interpreter in list(left.items()):
        with Peer(interpreter, name, case.name, k, PATIENCE) as peer:
            rows.append(theirs(peer, case, NEEDED.get(name, 1e-8), anchor, rounds, best))
        report(case, rows[-1])
        if "failed" in rows[-1]:
            del left[name]
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        "python -m scripts.benchmarks.ode", description=__doc__.splitlines()[0]
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="directory for ode.json and the figures"
    )
    parser.add_argument(
        "--small", action="store_true", help="few tolerances, a small grid: seconds"
    )
    parser.add_argument(
        "--rounds", type=int, default=5, help="measurements of each ratio (default: 5)"
    )
    parser.add_argument(
        "--peers",
        action="append",
        default=[],
        metavar="PYTHON",
        help="interpreter with other libraries",
    )
    options = parser.parse_args()
    main(options.out, options.small, 1 if options.small else options.rounds, options.peers)
