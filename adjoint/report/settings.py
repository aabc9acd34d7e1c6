"""The settings of an algorithm as one line: its name, and each of its numbers and words."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass

from ..optimize.stopping import Stopping

MOST = 8
"""Entries of a list, such as constraints or stages, that are shown."""


def settings(of: object) -> str:
    """Such as "LBFGS(memory=20, search=StrongWolfe(c1=0.0001))": a dataclass with what is a number or a word in it."""
    if not is_dataclass(of):
        return str(of)
    shown = [(field.name, _text(getattr(of, field.name))) for field in fields(of) if field.init and field.repr]
    inside = ", ".join(f"{name}={text}" for name, text in shown if text)
    return f"{type(of).__name__}({inside})"


def _text(value: object) -> str:
    """A setting; "" for arrays, functions and objects that hold nothing else."""
    if isinstance(value, bool | int | str):
        return repr(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, Stopping):
        return _asked(value)
    if is_dataclass(value):
        text = settings(value)
        return "" if text.endswith("()") and fields(value) else text
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_text(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple):
        return _listed([text for each in value if (text := _text(each))])
    return ""


def _listed(texts: list[str]) -> str:
    """A list of settings, in brackets; "" for none."""
    more = [f"{len(texts) - MOST} more"] if len(texts) > MOST else []
    return f"[{', '.join([*texts[:MOST], *more])}]" if texts else ""


def _asked(stop: Stopping) -> str:
    """The rules that are not the default ones."""
    asked = [(field.name, getattr(stop, field.name), field.default) for field in fields(stop)]
    inside = ", ".join(f"{name}={_text(value)}" for name, value, default in asked if value != default)
    return f"Stopping({inside})"
