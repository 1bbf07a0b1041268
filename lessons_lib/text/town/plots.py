"""From plots.toml to choices: every draw and every choice of phrase becomes one table of conditional probabilities.

A plot is a list of steps, in the order of the story:

    { draw = "friend", from = "people", not = ["hero"] }      an entry of a table, different from another variable
    { draw = "moves", from = { one = 3, two = 2 } }           an entry of a small table written on the spot
    { draw = "food", from = "foods", tag = "warm" }           only the entries with this tag
    { draw = "tool", from = "tools", by = "lock", weights = { gate = { oil = 1 }, box = { pin = 2, oil = 1 } } }
                                          (`by` can also name a form of a variable, such as "helper.pronoun")
    { let = "now", be = "second if moves == 'two' else first" }
    { say = [[3, "{hero} lost {hero.their} {thing}."], [1, "..."]], when = "moves == 'two'" }
    { use = "opening" }                                       the steps of [fragments] opening, in this place

A draw or a say whose `when` is false does not happen: the draw then stands at entry 0 and the say at "silent", both
with probability 1, so that every story of a plot is one value for each choice and nothing needs a special case.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lessons_lib.text.town.expressions import Condition, Variable, look_up, parse_condition, parse_variable
from lessons_lib.text.town.templates import Slot, Template
from lessons_lib.text.town.world import Table, TownError, World, check_weight

_DRAW_KEYS = {"draw", "from", "tag", "not", "by", "weights", "when"}
_STEP_KEYS = {"draw": _DRAW_KEYS, "let": {"let", "be"}, "say": {"say", "when"}}
_NEEDED = {"draw": {"draw", "from"}, "let": {"let", "be"}, "say": {"say"}}


@dataclass(frozen=True)
class Limits:
    """How a reduced world is cut: entries kept of each draw, phrases kept of each say, where the cut begins."""

    entries: int
    phrases: int
    offset: int = 0

    def keep(self, weights: np.ndarray, count: int) -> np.ndarray:
        """`weights` with all but `count` of the positive ones set to zero."""
        support = np.roll(np.flatnonzero(weights), -self.offset)[:count]
        kept = np.zeros_like(weights)
        kept[support] = weights[support]
        return kept


@dataclass(frozen=True, eq=False)
class Choice:
    """One counted choice. `table` holds p(value | parents), the value on the last axis, one axis before it per parent.

    A draw has `variable`; a say has `templates` (a last, empty one stands for "silent" when there is a guard).
    """

    name: str
    parents: tuple[str, ...]
    table: np.ndarray
    guard: Condition | None
    variable: Variable | None = None
    templates: tuple[Template, ...] = ()

    @property
    def size(self) -> int:
        return self.table.shape[-1]

    @cached_property
    def possible(self) -> np.ndarray:
        """For each value, whether it ever has a probability above zero."""
        return (self.table > 0).reshape(-1, self.size).any(0)

    @property
    def idle(self) -> int:
        """The value that stands for "did not happen"."""
        return len(self.templates) - 1 if self.templates else 0


@dataclass(frozen=True, eq=False)
class Plot:
    """A plot: its id, its probability among the plots, its choices in order, its variables and its facts."""

    id: str
    prob: float
    choices: tuple[Choice, ...]
    scope: dict[str, Variable]
    facts: dict[str, Template]

    def __post_init__(self):
        object.__setattr__(self, "position", {choice.name: i for i, choice in enumerate(self.choices)})

    @cached_property
    def vocabulary(self) -> frozenset[str]:
        """Every word and punctuation mark that some story of the plot contains."""
        words: set[str] = set()
        for choice in self.choices:
            for template, said in zip(choice.templates, choice.possible, strict=False):
                for token in template.tokens if said else ():
                    words.update(self._slot_words(token) if isinstance(token, Slot) else (token,))
        return frozenset(words)

    def _slot_words(self, slot: Slot) -> set[str]:
        shown = sum(self.choices[self.position[name]].possible for _, name in slot.variable.branches)
        return {word for words, possible in zip(slot.split, shown, strict=True) if possible for word in words}


def compile_plots(world: World, limits: Limits | None = None) -> tuple[Plot, ...]:
    """All plots of the world. Raises TownError, naming the file, the plot and the step, for what cannot be used."""
    where, plots = world.plots_file, world.plots.get("plots")
    if not isinstance(plots, dict) or not plots:
        raise TownError(f"{where}: there are no plots; write at least one [plots.name].")
    fragments = world.plots.get("fragments", {})
    weights = [check_weight(plot.get("weight"), f"{where}: plot {name!r}") for name, plot in plots.items()]
    return tuple(
        _Compiler(world, limits, f"{where}: plot {name!r}").plot(name, plot, weight / sum(weights), fragments)
        for (name, plot), weight in zip(plots.items(), weights, strict=True)
    )


class _Compiler:
    """Compiles one plot; `where` says in error messages which step is being read."""

    def __init__(self, world: World, limits: Limits | None, where: str):
        self.world, self.limits, self.where = world, limits, where
        self.scope: dict[str, Variable] = {}
        self.choices: list[Choice] = []

    def plot(self, name: str, plot: dict, prob: float, fragments: dict) -> Plot:
        home = self.where
        steps = self._spliced(plot.get("steps"), fragments)
        for number, step in enumerate(steps, start=1):
            self.where = f"{home}, step {number}"
            kind = next((key for key in _STEP_KEYS if key in step), None)
            if kind is None or set(step) - _STEP_KEYS[kind] or _NEEDED[kind] - set(step):
                raise TownError(f"{self.where}: {step!r} is not a step; see plots.py for the forms a step can have.")
            getattr(self, f"_{kind}")(step)
        self.where = f"{home}, facts"
        facts = {fact: self._template(f"{{{slot}}}", None) for fact, slot in plot.get("facts", {}).items()}
        return Plot(name, prob, tuple(self.choices), self.scope, facts)

    def _spliced(self, steps, fragments: dict) -> list[dict]:
        if not isinstance(steps, list) or not steps:
            raise TownError(f"{self.where}: `steps` must be a list of at least one step.")
        spliced: list[dict] = []
        for step in steps:
            if isinstance(step, dict) and set(step) == {"use"}:
                if step["use"] not in fragments:
                    known = ", ".join(fragments) or "none"
                    raise TownError(f"{self.where}: unknown fragment {step['use']!r}; known are {known}.")
                spliced += fragments[step["use"]]
            else:
                spliced.append(step)
        return spliced

    def _draw(self, step: dict) -> None:
        name = step["draw"]
        table = self._source(name, step["from"])
        others = [look_up(other, self.scope, self.where) for other in step.get("not", [])]
        if wrong := [other.table.name for other in others if other.table is not table]:
            raise TownError(f"{self.where}: {name!r} comes from {table.name!r}, but `not` names one of {wrong[0]!r}.")
        guard = self._guard(step)
        by = look_up(step["by"].partition(".")[0], self.scope, self.where) if "by" in step else None
        rows = self._rows(step, table, len(others)) if by is None else self._rows_by(step, table, by, len(others))
        parents = _parents(guard, by, *others)
        values = self._grid(parents)
        shape = tuple(self._choice(parent).size for parent in parents)
        probs = np.broadcast_to(rows[by.evaluate(values)] if by else rows, (*shape, len(table))).copy()
        for other in others:
            probs[np.arange(len(table)) == np.asarray(other.evaluate(values))[..., None]] = 0.0
        self._declare(name, Variable(table, ((None, name),)))
        self.choices.append(Choice(name, parents, self._normalised(probs, guard, values, 0), guard, self.scope[name]))

    def _rows(self, step: dict, table: Table, excluded: int) -> np.ndarray:
        """The weights of the table's entries, zero where the step leaves them out."""
        weights = table.weights.copy()
        if "tag" in step:
            weights[[step["tag"] not in tags for tags in table.tags]] = 0.0
        if not weights.any():
            raise TownError(f"{self.where}: no entry of {table.name!r} has the tag {step['tag']!r}.")
        if self.limits and not isinstance(step["from"], dict):  # a table on the spot steers the plot: it stays whole
            weights = self.limits.keep(weights, self.limits.entries + excluded)
        return weights

    def _rows_by(self, step: dict, table: Table, by: Variable, excluded: int) -> np.ndarray:
        """The weights of the table's entries for each value of the variable, or of its form, that `by` names."""
        form = step["by"].partition(".")[2]
        keys = by.table.form(form, self.where) if form else by.table.ids
        given = step.get("weights", {})
        if odd := [key for key in (*keys, *given) if key not in given or key not in keys]:
            raise TownError(f"{self.where}: `weights` needs one row for each {step['by']}; look at {odd[0]!r}.")
        rows = np.zeros((len(keys), len(table)))
        for row, key in zip(rows, keys, strict=True):
            where = f"{self.where}, weights of {key!r}"
            for entry, weight in given[key].items():
                row[table.index(entry, where)] = check_weight(weight, f"{where}, entry {entry!r}")
        if self.limits:
            rows = np.array([self.limits.keep(row, self.limits.entries + excluded) for row in rows])
        return rows

    def _say(self, step: dict) -> None:
        phrases = [[1, step["say"]]] if isinstance(step["say"], str) else step["say"]
        if not phrases or not all(isinstance(phrase, list) and len(phrase) == 2 for phrase in phrases):
            raise TownError(f"{self.where}: `say` is a sentence, or a list of [weight, sentence].")
        weights = np.array([check_weight(weight, self.where) for weight, _ in phrases])
        if self.limits:
            weights = self.limits.keep(weights, self.limits.phrases)
        guard = self._guard(step)
        templates = [self._template(text, guard) for _, text in phrases]
        if len({template.text for template in templates}) < len(templates):
            raise TownError(f"{self.where}: the same phrase is listed twice.")
        if guard:
            weights, templates = np.append(weights, 0.0), [*templates, Template((), "")]
        parents = guard.variables if guard else ()
        values = self._grid(parents)
        shape = tuple(self._choice(parent).size for parent in parents)
        probs = np.broadcast_to(weights, (*shape, len(weights))).copy()
        probs = self._normalised(probs, guard, values, len(weights) - 1)
        name = f"say {sum(bool(choice.templates) for choice in self.choices) + 1}"
        self.choices.append(Choice(name, parents, probs, guard, templates=tuple(templates)))

    def _template(self, text: str, guard: Condition | None) -> Template:
        """A template, none of whose slots can be told in a story in which its variable was not drawn."""
        template = Template.parse(text, self.scope, self.where)
        for slot in template.slots:
            needs = {source: self._choice(source).guard for _, source in slot.variable.branches}
            conditions = [condition for condition, _ in slot.variable.branches]
            grid = self._grid(_parents(guard, *conditions, *needs.values()))
            told = guard.evaluate(grid) if guard else np.True_
            for condition, source in slot.variable.branches:
                here = told & (condition.evaluate(grid) if condition else np.True_)
                told = told & ~here
                if needs[source] and np.any(here & ~needs[source].evaluate(grid)):
                    raise TownError(f"{self.where}: {text!r} can be told without {source!r} being drawn: add a `when`.")
        return template

    def _let(self, step: dict) -> None:
        self._declare(step["let"], parse_variable(step["be"], self.scope, self.where))

    def _declare(self, name: str, variable: Variable) -> None:
        if not name.isidentifier() or not name[0].islower() or name in self.scope:
            raise TownError(f"{self.where}: {name!r} is not a new variable name that begins with a small letter.")
        self.scope[name] = variable

    def _source(self, name: str, source) -> Table:
        if isinstance(source, dict):
            return Table.build(name, source, self.where)
        if source not in self.world.tables:
            raise TownError(f"{self.where}: unknown table {source!r}; there are {', '.join(self.world.tables)}.")
        return self.world.tables[source]

    def _guard(self, step: dict) -> Condition | None:
        return parse_condition(step["when"], self.scope, self.where) if "when" in step else None

    def _choice(self, name: str) -> Choice:
        return next(choice for choice in self.choices if choice.name == name)

    def _grid(self, parents: tuple[str, ...]) -> dict[str, np.ndarray]:
        """Every combination of the parents' values, as arrays that broadcast against each other."""
        sizes = [np.arange(self._choice(parent).size) for parent in parents]
        return dict(zip(parents, np.meshgrid(*sizes, indexing="ij"), strict=True)) if parents else {}

    def _normalised(self, probs: np.ndarray, guard: Condition | None, values, idle: int) -> np.ndarray:
        if guard:
            off = np.broadcast_to(~guard.evaluate(values), probs.shape[:-1])
            probs[off] = np.eye(probs.shape[-1])[idle]
        totals = probs.sum(-1, keepdims=True)
        if not totals.all():
            raise TownError(f"{self.where}: `not` leaves nothing to draw; the table needs more entries.")
        return probs / totals


def _parents(*parts: Condition | Variable | None) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for part in parts if part is not None for name in part.variables))
