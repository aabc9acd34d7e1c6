"""The settings of an algorithm as one line: its name, and each of its numbers and words."""

from dataclasses import fields, is_dataclass


def settings(of: object) -> str:
    """Such as "Lbfgs(memory=20, search=StrongWolfe(c1=0.0001))": a dataclass with what is a number or a word in it."""
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
    if is_dataclass(value):
        text = settings(value)
        return "" if text.endswith("()") and fields(value) else text
    return ""
