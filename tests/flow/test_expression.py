"""The search language: what it means, and what it says when it cannot be understood."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chueok.errors import UsageError
from chueok.flow.expression import And, Expression, Name, Not, Or, holds, names, parse, wanted

MOM, DAD, EX = Name("mom"), Name("dad"), Name("ex")


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("mom", MOM),
        ("  mom  ", MOM),
        ("mom & dad | ex", Or(And(MOM, DAD), EX)),
        ("mom & (dad | ex)", And(MOM, Or(DAD, EX))),
        ("!mom & dad", And(Not(MOM), DAD)),
        ("!!mom", Not(Not(MOM))),
        ("Kim Min Jun & mom", And(Name("Kim Min Jun"), MOM)),
        ('"R & B" | 엄마', Or(Name("R & B"), Name("엄마"))),
    ],
)
def test_expressions_mean_what_they_say(text: str, meaning: Expression) -> None:
    assert parse(text) == meaning


def test_an_enrolled_name_is_a_name_whatever_signs_it_holds() -> None:
    assert parse("Tom & Jerry", {"Tom & Jerry"}) == Name("Tom & Jerry")
    assert parse("Tom & Jerry", {"Tom"}) == And(Name("Tom"), Name("Jerry"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("mom &", "missing at the end"),
        ("& mom", "missing before '&'"),
        ("(mom", "a ) is missing"),
        ("mom)", "was not expected"),
        ("mom !dad", "was not expected"),
        ('"mom', "never closed"),
        ("()", "missing before ')'"),
    ],
)
def test_what_cannot_be_understood_is_explained(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("(", r"\(").replace(")", r"\)")):
        parse(text)


def test_wanted_are_those_whose_presence_helps() -> None:
    assert wanted(parse("mom & !(dad & !ex)")) == ["mom", "ex"]
    assert names(parse("mom & !(dad & !ex) | mom")) == ["mom", "dad", "ex"]


EXPRESSIONS = st.recursive(
    st.sampled_from([MOM, DAD, EX]),
    lambda inner: st.one_of(st.builds(Not, inner), st.builds(And, inner, inner), st.builds(Or, inner, inner)),
    max_leaves=6,
)


def written(expression: Expression) -> str:
    match expression:
        case Name(text):
            return text
        case Not(operand):
            return f"!({written(operand)})"
        case And(left, right):
            return f"({written(left)}) & ({written(right)})"
        case Or(left, right):
            return f"({written(left)}) | ({written(right)})"


@given(EXPRESSIONS, st.sets(st.sampled_from(["mom", "dad", "ex"])))
def test_reading_and_evaluating_agree_with_python(expression: Expression, present: set[str]) -> None:
    python = written(expression).replace("!", " not ").replace("&", " and ").replace("|", " or ")
    truth = eval(python, {name: name in present for name in ("mom", "dad", "ex")})  # the oracle
    assert holds(parse(written(expression)), present) is truth
