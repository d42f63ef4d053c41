"""Expressions over the variables of a cube that say which pixels to take: `FOREST_MASK > 0.8 and DROUGHT_MASK > 0`.

Python's notation and precedence, of which nothing is executed: numbers, names (in double quotes where they are no plain
words), + - * / % **, comparisons, `in (1, 2)`, and, or, not, parentheses and `FUNCTIONS`. What changes with time stands
inside one of `OVER_TIME`: `count(s2_mask == 0) > 20`. A comparison with a missing value is false, whichever it is.
"""

from __future__ import annotations

import ast
import operator
import warnings
from collections.abc import Callable, Collection

import numpy as np

from ..errors import InputError

MAX_LENGTH = 10_000
ARITHMETIC = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.true_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
COMPARISONS = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
FUNCTIONS: dict[str, Callable] = {"isfinite": np.isfinite, "isnan": np.isnan, "abs": np.abs, "sqrt": np.sqrt}
OVER_TIME: dict[str, Callable] = {
    "mean": np.nanmean,
    "min": np.nanmin,
    "max": np.nanmax,
    "std": np.nanstd,
    "sum": np.nansum,
}
KNOWN = (*FUNCTIONS, *OVER_TIME, "count")
HINT = "For example: FOREST_MASK > 0.8 and DROUGHT_MASK > 0. Functions: " + ", ".join(KNOWN) + "."


class Where:
    """A checked expression. `names`: the variables that it reads. Raises `InputError` for anything else."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        if len(self.text) > MAX_LENGTH:
            raise InputError(f"WHERE has more than {MAX_LENGTH} characters.")
        try:
            self._tree = ast.parse(self.text, mode="eval").body
            self.names = tuple(dict.fromkeys(self._names(self._tree)))
        except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
            raise InputError(
                f"WHERE is not understood: {self.text[:200]!r}.",
                f"Write and, or, not in small letters. {HINT}",
            ) from error

    def check(self, static: Collection[str], over_time: Collection[str], file: str) -> None:
        """Raise `InputError` for a variable that a cube does not have, or one over time where none may be."""
        known = [*static, *over_time]
        for name in self.names:
            if name not in known:
                raise InputError(
                    f"WHERE has {name}, which {file} does not have.", f"It has: {', '.join(known)}."
                )
        changing = self._changing(self._tree, set(over_time))
        if changing:
            raise InputError(
                f"WHERE has {changing}, which changes with time.",
                f"Say of all dates: mean({changing}) > 0.5.",
            )

    def evaluate(self, read: Callable[[str], np.ndarray]) -> np.ndarray:
        """Where the expression is true: bool (y, x). `read` gives a variable: (y, x), (time, y, x) or (time, 1, 1)."""
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # of means over nothing
            return np.asarray(_truth(self._value(self._tree, read)))

    def _names(self, node: ast.AST) -> list[str]:
        """The variables below a node; raises for what is no part of the notation."""
        below: list[ast.AST]
        if isinstance(node, ast.BoolOp):
            below = list(node.values)
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, (ast.Not, ast.USub, ast.UAdd)):
            below = [node.operand]
        elif isinstance(node, ast.BinOp) and type(node.op) in ARITHMETIC:
            below = [node.left, node.right]
        elif isinstance(node, ast.Compare):
            below = [node.left]
            for how, other in zip(node.ops, node.comparators, strict=True):
                if isinstance(how, (ast.In, ast.NotIn)):
                    if not isinstance(other, (ast.Tuple, ast.List, ast.Set)) or not all(
                        map(_is_number, other.elts)
                    ):
                        raise InputError(
                            "WHERE has an in without a list of numbers.", "Write it as x in (1, 2)."
                        )
                elif type(how) in COMPARISONS:
                    below.append(other)
                else:
                    raise self._strange(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and not node.keywords:
            if node.func.id not in KNOWN:
                raise InputError(
                    f"WHERE has an unknown function: {node.func.id}.", f"It knows {', '.join(KNOWN)}."
                )
            if len(node.args) != 1 or isinstance(node.args[0], ast.Starred):
                raise InputError(f"WHERE: {node.func.id} takes one value.", HINT)
            below = list(node.args)
        elif isinstance(node, ast.Name):
            return [node.id]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            return [node.value]
        elif isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float)):
            return []
        else:
            raise self._strange(node)
        return [name for each in below for name in self._names(each)]

    def _strange(self, node: ast.AST) -> InputError:
        part = ast.get_source_segment(self.text, node) or self.text
        return InputError(f"WHERE cannot hold {part[:80]!r}.", f"Write and, or, not for &, |, ~. {HINT}")

    def _changing(self, node: ast.AST, over_time: set[str]) -> str:
        """The first variable over time that stands outside a function over time; empty without one."""
        if isinstance(node, ast.Call) and (node.func.id in OVER_TIME or node.func.id == "count"):
            return ""
        if isinstance(node, (ast.Name, ast.Constant)):
            name = node.id if isinstance(node, ast.Name) else node.value
            return name if name in over_time else ""
        children = [each for each in ast.iter_child_nodes(node) if isinstance(each, ast.expr)]
        if isinstance(node, ast.Call):
            children = list(node.args)
        return next(filter(None, (self._changing(each, over_time) for each in children)), "")

    def _value(self, node: ast.AST, read: Callable[[str], np.ndarray]) -> np.ndarray:
        if isinstance(node, ast.BoolOp):
            together = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
            found = _truth(self._value(node.values[0], read))
            for each in node.values[1:]:
                found = together(found, _truth(self._value(each, read)))
            return found
        if isinstance(node, ast.UnaryOp):
            value = self._value(node.operand, read)
            if isinstance(node.op, ast.Not):
                return ~_truth(value)
            return -_number(value) if isinstance(node.op, ast.USub) else _number(value)
        if isinstance(node, ast.BinOp):
            left, right = (_number(self._value(each, read)) for each in (node.left, node.right))
            return _number(ARITHMETIC[type(node.op)](left, right))
        if isinstance(node, ast.Compare):
            return self._compared(node, read)
        if isinstance(node, ast.Call):
            return _called(node.func.id, self._value(node.args[0], read))
        if isinstance(node, ast.Name) or isinstance(node.value, str):
            return np.asarray(read(node.id if isinstance(node, ast.Name) else node.value))
        return float(node.value)

    def _compared(self, node: ast.Compare, read: Callable[[str], np.ndarray]) -> np.ndarray:
        left, found = _number(self._value(node.left, read)), np.True_
        for how, other in zip(node.ops, node.comparators, strict=True):
            if isinstance(how, (ast.In, ast.NotIn)):
                holds = np.isin(left, [float(ast.literal_eval(each)) for each in other.elts])
                found = found & (~holds if isinstance(how, ast.NotIn) else holds) & ~np.isnan(left)
                continue
            right = _number(self._value(other, read))
            found = found & COMPARISONS[type(how)](left, right) & ~(np.isnan(left) | np.isnan(right))
            left = right
        return found


def _called(name: str, value: np.ndarray) -> np.ndarray:
    if name in FUNCTIONS:
        return FUNCTIONS[name](_number(value))
    if np.ndim(value) < 3:
        raise InputError(f"WHERE: {name} is of what changes with time.", HINT)
    if name == "count":
        return np.count_nonzero(value if value.dtype == bool else np.isfinite(value), axis=0).astype(float)
    return OVER_TIME[name](_number(value), axis=0)


def _is_number(node: ast.AST) -> bool:
    inner = node.operand if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) else node
    return isinstance(inner, ast.Constant) and isinstance(inner.value, (int, float))


def _number(value: np.ndarray) -> np.ndarray:
    """Numbers as they are compared: single ones give way to the type of an array, so that 0.8 is 0.8 of a float32."""
    value = np.asarray(value)
    if not value.ndim:
        return float(value)
    return value if value.dtype.kind == "f" else value.astype(float)


def _truth(value: np.ndarray) -> np.ndarray:
    """Whether values are true: not 0 and not missing."""
    value = np.asarray(value)
    return value if value.dtype == bool else (value != 0) & ~np.isnan(value)
