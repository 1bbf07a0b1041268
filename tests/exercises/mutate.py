"""Small damages to a function, one at a time: what a check must notice. Used to test the exercises' checks."""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import NamedTuple

from lessons_lib.exercises.engine import source_of

OPERATORS = {
    ast.Add: (ast.Sub,),
    ast.Sub: (ast.Add,),
    ast.Mult: (ast.Div, ast.Add),
    ast.Div: (ast.Mult, ast.FloorDiv),
    ast.FloorDiv: (ast.Div,),
    ast.Mod: (ast.FloorDiv,),
    ast.Pow: (ast.Mult,),
    ast.MatMult: (ast.Mult,),
    ast.BitAnd: (ast.BitOr,),
    ast.BitOr: (ast.BitAnd,),
}
COMPARISONS = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
NAMES = {"min": "max", "max": "min", "any": "all", "all": "any", "sum": "max", "argmax": "argmin", "exp": "log"}
NAMES |= {
    "log": "exp",
    "sorted": "list",
    "mean": "sum",
    "zeros": "ones",
    "ones": "zeros",
    "tril": "triu",
    "triu": "tril",
}


class Mutant(NamedTuple):
    """A damaged copy of a function, and what was done to it."""

    change: str
    function: Callable


def mutants(function: Callable) -> Iterator[Mutant]:
    """Every mutant of a function's body: each differs from it, and from the others, in one place."""
    tree = ast.parse(source_of(function))
    definition = tree.body[0]
    body = definition.body[1:] if ast.get_docstring(definition) is not None else definition.body
    seen = {ast.unparse(tree)}
    for statement in body:
        for path in _places(statement):
            for replacement in _replacements(_get(statement, path)):
                damaged = copy.deepcopy(tree)
                index = definition.body.index(statement)
                changed = _put(damaged.body[0].body, index, path, replacement)
                text = ast.unparse(ast.fix_missing_locations(damaged))
                if text in seen:
                    continue
                seen.add(text)
                yield Mutant(_describe(statement, changed), _compiled(damaged, function))


def _compiled(tree: ast.Module, function: Callable) -> Callable:
    # Names of the module stay as they are, so a recursive function's mutant calls itself.
    namespace = dict(function.__globals__)
    exec(compile(tree, "<mutant>", "exec"), namespace)
    return namespace[function.__name__]


def _places(node: ast.AST, path: tuple = ()) -> Iterator[tuple]:
    """The paths to all nodes below (and with) this one; error messages and annotations are left alone."""
    yield path
    if isinstance(node, ast.Raise):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "args") and isinstance(node, ast.FunctionDef | ast.AnnAssign):
            continue
        if isinstance(value, ast.AST):
            yield from _places(value, (*path, (name, None)))
        elif isinstance(value, list):
            for place, item in enumerate(value):
                if isinstance(item, ast.AST):
                    yield from _places(item, (*path, (name, place)))


def _get(node: ast.AST, path: tuple) -> ast.AST:
    for name, place in path:
        node = getattr(node, name) if place is None else getattr(node, name)[place]
    return node


def _put(body: list, index: int, path: tuple, replacement: ast.AST) -> ast.AST:
    """Put the replacement at the path, in place; returns the changed statement."""
    if not path:
        body[index] = replacement
        return replacement
    *way, (name, place) = path
    parent = _get(body[index], tuple(way))
    if place is None:
        setattr(parent, name, replacement)
    else:
        getattr(parent, name)[place] = replacement
    return body[index]


def _describe(before: ast.AST, after: ast.AST) -> str:
    """The first line that differs, before and after."""
    old, new = ast.unparse(before).splitlines(), ast.unparse(ast.fix_missing_locations(after)).splitlines()
    pairs = [(a, b) for a, b in zip(old, new, strict=False) if a != b] or [(old[-1], new[-1])]
    return f"{pairs[0][0].strip()}  ->  {pairs[0][1].strip()}"


def _replacements(node: ast.AST) -> Iterator[ast.AST]:
    """What this node may turn into."""
    kind = _KINDS.get(type(node))
    if kind:
        yield from kind(node)
    if isinstance(node, ast.Assign | ast.AugAssign | ast.Expr | ast.If | ast.For | ast.While | ast.Raise | ast.Break):
        yield ast.Pass()


def _with(node: ast.AST, **fields) -> ast.AST:
    new = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _binary(node: ast.BinOp) -> Iterator[ast.AST]:
    for operator in OPERATORS.get(type(node.op), ()):
        yield _with(node, op=operator())
    yield node.left
    yield node.right


def _augmented(node: ast.AugAssign) -> Iterator[ast.AST]:
    for operator in OPERATORS.get(type(node.op), ()):
        yield _with(node, op=operator())
    yield ast.Assign(targets=[node.target], value=node.value)


def _comparison(node: ast.Compare) -> Iterator[ast.AST]:
    for place, operator in enumerate(node.ops):
        for other in COMPARISONS.get(type(operator), ()):
            yield _with(node, ops=[*node.ops[:place], other(), *node.ops[place + 1 :]])


def _boolean(node: ast.BoolOp) -> Iterator[ast.AST]:
    yield _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
    for place in range(len(node.values)):
        rest = node.values[:place] + node.values[place + 1 :]
        yield rest[0] if len(rest) == 1 else _with(node, values=rest)


def _unary(node: ast.UnaryOp) -> Iterator[ast.AST]:
    yield node.operand


def _constant(node: ast.Constant) -> Iterator[ast.AST]:
    value = node.value
    if isinstance(value, bool):
        yield ast.Constant(not value)
    elif isinstance(value, int):
        yield ast.Constant(value + 1)
        yield ast.Constant(value - 1)
    elif isinstance(value, float):
        yield ast.Constant(value * 2 + 0.5)
        yield ast.Constant(-value if value else -1.0)
    elif isinstance(value, str):
        yield ast.Constant(value + "x")
        yield ast.Constant("")


def _call(node: ast.Call) -> Iterator[ast.AST]:
    if isinstance(node.func, ast.Attribute):
        yield node.func.value
    if node.args and not isinstance(node.args[0], ast.Starred | ast.GeneratorExp):
        yield node.args[0]
    for place in range(len(node.args)):
        yield _with(node, args=node.args[:place] + node.args[place + 1 :])
    for place in range(len(node.keywords)):
        yield _with(node, keywords=node.keywords[:place] + node.keywords[place + 1 :])
    if len(node.args) == 2:
        yield _with(node, args=node.args[::-1])


def _name(node: ast.Name) -> Iterator[ast.AST]:
    if isinstance(node.ctx, ast.Load) and node.id in NAMES:
        yield _with(node, id=NAMES[node.id])


def _attribute(node: ast.Attribute) -> Iterator[ast.AST]:
    if node.attr in NAMES and node.attr not in ("sorted",):
        yield _with(node, attr=NAMES[node.attr])


def _subscript(node: ast.Subscript) -> Iterator[ast.AST]:
    if isinstance(node.ctx, ast.Load):
        yield node.value
        if isinstance(node.slice, ast.Name | ast.BinOp):
            yield _with(node, slice=ast.BinOp(node.slice, ast.Sub(), ast.Constant(1)))


def _slice(node: ast.Slice) -> Iterator[ast.AST]:
    for bound in ("lower", "upper", "step"):
        value = getattr(node, bound)
        if value is not None:
            yield _with(node, **{bound: None})
            if bound != "step":
                yield _with(node, **{bound: ast.BinOp(value, ast.Add(), ast.Constant(1))})


def _condition(node: ast.If | ast.While | ast.IfExp) -> Iterator[ast.AST]:
    yield _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    if isinstance(node, ast.IfExp):
        yield node.body
        yield node.orelse
    if isinstance(node, ast.If):
        yield _with(node, test=ast.Constant(True))


def _comprehension(node: ast.comprehension) -> Iterator[ast.AST]:
    for place, condition in enumerate(node.ifs):
        yield _with(node, ifs=node.ifs[:place] + node.ifs[place + 1 :])
        negated = ast.UnaryOp(ast.Not(), condition)
        yield _with(node, ifs=[*node.ifs[:place], negated, *node.ifs[place + 1 :]])


def _return(node: ast.Return) -> Iterator[ast.AST]:
    if node.value is not None:
        yield ast.Return(ast.Constant(None))


_KINDS = {
    ast.BinOp: _binary,
    ast.AugAssign: _augmented,
    ast.Compare: _comparison,
    ast.BoolOp: _boolean,
    ast.UnaryOp: _unary,
    ast.Constant: _constant,
    ast.Call: _call,
    ast.Name: _name,
    ast.Attribute: _attribute,
    ast.Subscript: _subscript,
    ast.Slice: _slice,
    ast.If: _condition,
    ast.While: _condition,
    ast.IfExp: _condition,
    ast.comprehension: _comprehension,
    ast.Return: _return,
    ast.Continue: lambda node: iter([ast.Pass(), ast.Break()]),
    ast.Break: lambda node: iter([ast.Continue()]),
}
