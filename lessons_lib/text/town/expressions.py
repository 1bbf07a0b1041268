"""The small language of conditions in plots.toml: `moves == 'two'`, `hero if who == 'hero' else friend`.

It is a part of Python's own expression syntax, read with `ast` and never executed as code. Values are positions in
tables, as NumPy arrays, so that one evaluation answers for a whole batch of stories.
"""

import ast
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lessons_lib.text.town.world import Table, TownError

Values = dict[str, np.ndarray]  # variable → position in its table, one number per story


@dataclass(frozen=True)
class Condition:
    """True or false for each story; `variables` are the drawn variables it depends on."""

    variables: tuple[str, ...]
    evaluate: Callable[[Values], np.ndarray]


@dataclass(frozen=True)
class Variable:
    """An entry of `table` for each story: a drawn variable, or a `let` that points at one of several.

    `branches` are tried in order; the first whose condition holds (None always does) names the drawn variable meant.
    """

    table: Table
    branches: tuple[tuple[Condition | None, str], ...]

    @cached_property
    def switches(self) -> tuple[str, ...]:
        """The drawn variables that decide which branch is meant."""
        return _union(*(condition.variables for condition, _ in self.branches if condition))

    @cached_property
    def variables(self) -> tuple[str, ...]:
        """All drawn variables that the value depends on."""
        return _union(self.switches, tuple(source for _, source in self.branches))

    def evaluate(self, values: Values) -> np.ndarray:
        *cases, (_, last) = self.branches
        result = values[last]
        for condition, source in reversed(cases):
            result = np.where(condition.evaluate(values), values[source], result)
        return result

    def source(self, values: Values) -> str:
        """The drawn variable that is meant, for a single story."""
        for condition, name in self.branches:
            if condition is None or condition.evaluate(values):
                return name
        raise AssertionError("the last branch has no condition")


def parse_condition(source: str, scope: dict[str, Variable], where: str) -> Condition:
    """A condition. Raises TownError, beginning with `where`, for anything outside the small language."""
    return _condition(_tree(source, where), scope, f"{where}: condition {source!r}")


def parse_variable(source: str, scope: dict[str, Variable], where: str) -> Variable:
    """A variable by name, or `a if condition else b`. Raises TownError, beginning with `where`, for anything else."""
    return _variable(_tree(source, where), scope, f"{where}: expression {source!r}")


def look_up(name: str, scope: dict[str, Variable], where: str) -> Variable:
    """The variable called `name`. Raises TownError, beginning with `where`, when nothing has drawn it yet."""
    if name not in scope:
        raise TownError(f"{where}: unknown variable {name!r}; known here are {', '.join(scope) or 'none'}.")
    return scope[name]


def _tree(source: str, where: str) -> ast.expr:
    try:
        return ast.parse(source, mode="eval").body
    except (SyntaxError, TypeError) as error:
        raise TownError(f"{where}: {source!r} is not an expression.") from error


def _variable(node: ast.expr, scope: dict[str, Variable], where: str) -> Variable:
    if isinstance(node, ast.Name):
        return look_up(node.id, scope, where)
    if not isinstance(node, ast.IfExp):
        raise TownError(f"{where}: write a variable, or `a if condition else b`.")
    test = _condition(node.test, scope, where)
    yes, no = _variable(node.body, scope, where), _variable(node.orelse, scope, where)
    if yes.table is not no.table:
        raise TownError(f"{where}: mixes entries of {yes.table.name!r} and {no.table.name!r}.")
    chosen = tuple((test if condition is None else _both(test, condition), name) for condition, name in yes.branches)
    return Variable(yes.table, chosen + no.branches)


def _condition(node: ast.expr, scope: dict[str, Variable], where: str) -> Condition:
    if isinstance(node, ast.BoolOp):
        parts = [_condition(value, scope, where) for value in node.values]
        join = np.logical_and if isinstance(node.op, ast.And) else np.logical_or
        return Condition(
            _union(*(part.variables for part in parts)),
            lambda values: join.reduce(np.broadcast_arrays(*(part.evaluate(values) for part in parts))),
        )
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        part = _condition(node.operand, scope, where)
        return Condition(part.variables, lambda values: np.logical_not(part.evaluate(values)))
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        return _comparison(node.left, node.ops[0], node.comparators[0], scope, where)
    raise TownError(f"{where}: write comparisons (==, !=, in, not in) joined by and, or, not.")


def _comparison(left: ast.expr, operator: ast.cmpop, right: ast.expr, scope, where: str) -> Condition:
    if not isinstance(operator, (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
        raise TownError(f"{where}: compare with ==, !=, in or not in.")
    negative = isinstance(operator, (ast.NotEq, ast.NotIn))
    if isinstance(operator, (ast.Eq, ast.NotEq)) and isinstance(right, ast.Name):
        first, second = _variable(left, scope, where), look_up(right.id, scope, where)
        if first.table is not second.table:
            raise TownError(f"{where}: compares entries of {first.table.name!r} and {second.table.name!r}.")
        return Condition(
            _union(first.variables, second.variables),
            lambda values: (first.evaluate(values) == second.evaluate(values)) ^ negative,
        )
    wanted = _constants(right, where)
    if isinstance(left, ast.Attribute):
        variable = _variable(left.value, scope, where)
        known = variable.table.form(left.attr, where)
        if absent := [value for value in wanted if value not in known]:
            raise TownError(f"{where}: no entry of {variable.table.name!r} has {left.attr} = {absent[0]!r}.")
    else:
        variable = _variable(left, scope, where)
        known = variable.table.ids
        for value in wanted:
            variable.table.index(value, where)
    holds = np.array([(entry in wanted) ^ negative for entry in known])
    return Condition(variable.variables, lambda values: holds[variable.evaluate(values)])


def _constants(node: ast.expr, where: str) -> list[str]:
    items = node.elts if isinstance(node, (ast.Tuple, ast.List)) else [node]
    if not items or not all(isinstance(item, ast.Constant) and isinstance(item.value, str) for item in items):
        raise TownError(f"{where}: compare with a string in quotes, or several in brackets.")
    return [item.value for item in items]


def _both(first: Condition, second: Condition) -> Condition:
    return Condition(
        _union(first.variables, second.variables),
        lambda values: np.logical_and(first.evaluate(values), second.evaluate(values)),
    )


def _union(*groups: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for group in groups for name in group))
