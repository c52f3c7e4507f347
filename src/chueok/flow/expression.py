"""The language of `chueok find`: names joined by & (and), | (or), ! (not) and parentheses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import reduce

from chueok.errors import UsageError


@dataclass(frozen=True, slots=True)
class Name:
    """Somebody: an enrolled name or a reference photo, as the user wrote it."""

    text: str


@dataclass(frozen=True, slots=True)
class Not:
    """Everything the operand does not say."""

    operand: Expression


@dataclass(frozen=True, slots=True)
class And:
    """Both."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Or:
    """Either, or both."""

    left: Expression
    right: Expression


Expression = Name | Not | And | Or

MOST_TOKENS = 500  # half of what Python's recursion limit of 1000 allows in parentheses
_TOKEN = re.compile(r"""\s*(?:(?P<sign>[&|!()])|"(?P<quoted>[^"]*)"|(?P<word>[^&|!()"]+))""")


def parse(text: str, known_names: Collection[str] = ()) -> Expression:
    """Read an expression. A text that is one of `known_names` as it stands is that name, whatever signs it holds.

    Names may contain spaces; double quotes protect names that contain signs. `!` binds strongest, then `&`.
    Raises UsageError saying where the text went wrong.
    """
    if text.strip() in known_names:
        return Name(text.strip())
    return _Parser(text).parse()


class _Parser:
    """Recursive descent over the tokens of one text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            token = _TOKEN.match(text, at)
            if token is None:
                raise UsageError(f'the quote in {text!r} is never closed; write "name" with two quotes')
            at = token.end()
            kind = token.lastgroup or ""
            self._tokens.append((kind, token[kind].strip()))
        self._at = 0

    def parse(self) -> Expression:
        if len(self._tokens) > MOST_TOKENS:
            raise UsageError("the search is too long to be understood; look for fewer people at a time")
        if not self._tokens:
            raise UsageError("the search is empty; say who is wanted, as `chueok find mom`")
        found = self._either()
        if self._at < len(self._tokens):
            raise self._wrong(f"{self._tokens[self._at][1]!r} was not expected here")
        return found

    def _either(self) -> Expression:
        found = self._both()
        while self._take("|"):
            found = Or(found, self._both())
        return found

    def _both(self) -> Expression:
        found = self._one()
        while self._take("&"):
            found = And(found, self._one())
        return found

    def _one(self) -> Expression:
        if self._take("!"):
            return Not(self._one())
        if self._take("("):
            found = self._either()
            if not self._take(")"):
                raise self._wrong("a ) is missing")
            return found
        if self._at == len(self._tokens):
            raise self._wrong("a name is missing at the end")
        kind, text = self._tokens[self._at]
        if kind == "sign" or not text:
            raise self._wrong(f"a name is missing before {text!r}")
        self._at += 1
        return Name(text)

    def _take(self, sign: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("sign", sign):
            self._at += 1
            return True
        return False

    def _wrong(self, problem: str) -> UsageError:
        return UsageError(
            f"the search {self._text!r} cannot be understood: {problem}. "
            "Join names with & (and), | (or), ! (not), as in 'mom & (dad | minjun) & !ex'"
        )


def combined(parts: Sequence[Expression], join: type[And] | type[Or]) -> Expression:
    """Several expressions as one; there must be at least one."""
    return reduce(join, parts)


def names(expression: Expression) -> list[str]:
    """Everybody mentioned, once, in the order of mention."""
    match expression:
        case Name(text):
            return [text]
        case Not(operand):
            return names(operand)
        case And(left, right) | Or(left, right):
            return list(dict.fromkeys(names(left) + names(right)))


def wanted(expression: Expression) -> list[str]:
    """Everybody whose presence can make the expression true: those under an even number of `!`."""
    return list(dict.fromkeys(_signed(expression, positive=True)))


def _signed(expression: Expression, *, positive: bool) -> Iterable[str]:
    match expression:
        case Name(text):
            return [text] if positive else []
        case Not(operand):
            return _signed(operand, positive=not positive)
        case And(left, right) | Or(left, right):
            return [*_signed(left, positive=positive), *_signed(right, positive=positive)]


def holds(expression: Expression, present: Collection[str]) -> bool:
    """Whether the expression is true of a photo in which exactly these people are present."""
    match expression:
        case Name(text):
            return text in present
        case Not(operand):
            return not holds(operand, present)
        case And(left, right):
            return holds(left, present) and holds(right, present)
        case Or(left, right):
            return holds(left, present) or holds(right, present)
