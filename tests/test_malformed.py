"""Malformed and odd arguments at every public entry point: refused in a sentence, or understood; nothing is changed.

The corpus is in ``tests/malformed.py``; the fast part runs every twelfth call of it, the slow part all of them. Then hypothesis
makes tables of any shape and type: what an array is answered, the frames that hold the same values are answered too.
"""

from __future__ import annotations

import pickle
import re
import traceback
import warnings
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given as for_all
from hypothesis import settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

from alignconf import AlignConfError, InputError, check
from tests.malformed import FRESH, REFERENCE, ROWS, Call, Elementwise, ModelError, all_calls, given, regressor

CALLS = list(all_calls())
ENTRIES = list(dict.fromkeys(call.entry for call in CALLS))

#: Frames of the wrapped model, of functions given by the user, and of scikit-learn's score: what they raise passes through.
OF_OTHERS = {"predict", "fit", "predict_proba", "_raises", "__array__"}


def state(called: Any) -> Any:
    """Return what an estimator holds: the objects themselves, and their contents where they can be written down."""
    return None if called is None else {name: (id(value), written(value)) for name, value in vars(called).items()}


def written(value: Any) -> bytes | None:
    try:
        return pickle.dumps(value)
    except Exception:
        return None


def is_of_others(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = any(frame.name in OF_OTHERS and "malformed" in frame.filename for frame in frames)
    last_of_ours = [frame.name for frame in frames if "alignconf" in frame.filename][-1:]
    scored = any("metrics" in frame.filename for frame in frames)
    return isinstance(error, ModelError) or theirs or last_of_ours == ["row_answers"] or scored


def problem(call: Call) -> str | None:
    """Return what is wrong with how a call is answered, None if nothing is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        value = call.make()
        was = given(value)
        called, run = call.run(value)
        before = state(called)
        try:
            found = wrong_answer(call, run())
        except Exception as error:
            found = wrong_refusal(call, error)
            if state(called) != before:
                found = f"refused, and the estimator changed ({error})"
        return "the argument was written to" if given(value) != was else found


def wrong_refusal(call: Call, error: Exception) -> str | None:
    """Return what is wrong with an error, None if nothing is."""
    if not isinstance(error, AlignConfError):
        place = traceback.extract_tb(error.__traceback__)[-1]
        return None if is_of_others(error) else f"{type(error).__name__}: {error} at {place}"
    if call.verdict == "same" or not re.search(call.words, str(error)) or len(str(error).split()) < 5:
        return f"refused: {error}"
    return None


def wrong_answer(call: Call, answer: Any) -> str | None:
    """Return what is wrong with an answer, None if nothing is."""
    if call.verdict == "refused" or answer is None:
        return f"accepted: {answer!r:.100}"
    if call.verdict == "same" and not same(answer, plain_answer(call)):
        return "another answer than to the plain spelling"
    return None


PLAIN: dict[str, Any] = {}


def plain_answer(call: Call) -> Any:
    """Return the answer to the plain spelling, the same for all calls of an entry."""
    assert call.plain is not None
    if call.entry not in PLAIN:
        PLAIN[call.entry] = call.run(call.plain())[1]()
    return PLAIN[call.entry]


def same(one: Any, other: Any) -> bool:
    """Whether two answers say the same."""
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other, equal_nan=one.dtype.kind == "f")
    if isinstance(one, BaseEstimator):
        return one.lambda_ == other.lambda_ and same(one.calibration_scores_, other.calibration_scores_)
    return str(one) == str(other)


# The corpus -----------------------------------------------------------------------------------------------------------


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(CALLS) > 7000
    assert len({str(call) for call in CALLS}) == len(CALLS)
    assert [str(call) for call in all_calls()] == [str(call) for call in CALLS]
    assert {call.verdict for call in CALLS} == {"refused", "same", "either"}


def problems(calls: list[Call]) -> list[str]:
    found = ((call, problem(call)) for call in calls)
    return [f"{call} ({call.verdict}): {wrong}" for call, wrong in found if wrong]


@pytest.mark.parametrize("part", range(4))
def test_a_sample_of_the_corpus(part: int) -> None:
    assert problems(CALLS[3 * part :: 12 * 4]) == []


@pytest.mark.slow
@pytest.mark.parametrize("entry", ENTRIES)
def test_the_whole_corpus(entry: str) -> None:
    assert problems([call for call in CALLS if call.entry == entry]) == []


class Careless(BaseEstimator):
    """Does everything wrong that the corpus is there to find."""

    def __init__(self) -> None:
        self.held = [0]

    def writes(self, X: Any) -> Any:
        X[0] = 7.0
        return X

    def changes(self, X: Any) -> Any:
        self.held.append(1)
        raise InputError(f"X must be something else than {X!r}, whatever that is; give another.")

    def crashes(self, X: Any) -> Any:
        raise KeyError(X)

    def mutters(self, X: Any) -> Any:  # noqa: ARG002
        raise InputError("no")

    def accepts(self, X: Any) -> Any:
        return np.array(X)

    def shifts(self, X: Any) -> Any:
        return np.asarray(X) + isinstance(X, list)

    def refuses(self, X: Any) -> Any:
        raise InputError(f"X must be something else than {X!r}, whatever that is; give another.")


@pytest.mark.parametrize(
    ("does", "verdict", "found"),
    [
        ("writes", "either", "written to"),
        ("changes", "refused", "estimator changed"),
        ("crashes", "either", "KeyError"),
        ("mutters", "refused", "refused: no"),
        ("accepts", "refused", "accepted"),
        ("shifts", "same", "another answer"),
        ("refuses", "same", "refused: X"),
        ("refuses", "refused", None),
        ("accepts", "same", None),
        ("accepts", "either", None),
    ],
)
def test_the_corpus_would_find_it(does: str, verdict: str, found: str | None) -> None:
    careless = Careless()

    def run(value: Any) -> Any:
        return careless, lambda: getattr(careless, does)(value)

    call = Call(
        f"{does} {verdict}", "X", "list", verdict, run, lambda: [1.0, 2.0], lambda: np.array([1.0, 2.0]), r"\bX\b"
    )
    wrong = problem(call)
    assert wrong is None if found is None else found in str(wrong)


# Tables that hypothesis makes -----------------------------------------------------------------------------------------

NUMBERS = st.one_of(
    st.floats(width=32),
    st.sampled_from([0.0, -0.0, 1.0, np.nan, np.inf, -np.inf, 5e-324, 1.7e308, 2.0**53]),
)


@st.composite
def tables(draw: Any) -> Any:
    """Return an array of any type, with a few values of any kind put into it."""
    shape = draw(
        st.sampled_from(
            [(30, 4), (30, 4), (30, 4), (9, 4), (1, 4), (0, 4), (30, 3), (30, 5), (30, 1), (30,), (3, 3, 4)]
        )
    )
    dtype = draw(st.sampled_from(["f8", "f8", "f4", "f2", "i8", "i1", "u8", "?", ">f8", "O"]))
    seed = draw(st.integers(0, 2**16))
    with np.errstate(all="ignore"):
        table = (100 * np.random.default_rng(seed).random(shape) / 8).astype(dtype)
    if table.size and np.dtype(dtype).kind in "fO":
        for value in draw(st.lists(NUMBERS, max_size=4)):
            with np.errstate(all="ignore"):
                table.flat[draw(st.integers(0, table.size - 1))] = value
    if draw(st.booleans()):
        table = np.asfortranarray(table)
    table.flags.writeable = False
    return table


def answers(X: Any) -> list[Any]:
    """Return what every entry point says of a table: an answer, or the kind of its error."""
    aligned = regressor().calibrate(ROWS, X_reference=REFERENCE)
    entries = [
        lambda: regressor().calibrate(X, X_reference=REFERENCE).lambda_,
        lambda: regressor().calibrate(X).lambda_,
        lambda: regressor(alpha=0).calibrate(X).predict(FRESH),
        lambda: aligned.predict(X),
        lambda: aligned.predict_interval(X),
        lambda: aligned.critical_half_widths(X),
        lambda: str(aligned.certify(X)),
        lambda: str(check(Elementwise(), X, {0: 1}, random_state=0)),
    ]
    return [said(entry) for entry in entries]


def said(entry: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return entry()
        except AlignConfError as error:
            return type(error)
        except Exception as error:
            if not is_of_others(error):
                raise
            return type(error)


def assert_the_same_answers(table: Any) -> None:
    """The array, its frames and its plain copy: the same answers, or all refused."""
    before = given(table)
    expected = answers(table)
    assert given(table) == before
    spellings: list[Any] = [np.array(table, order="C")]
    if table.size:
        spellings.append(table.tolist())
    if table.ndim == 2 and table.shape[1]:
        if table.dtype.isnative:
            spellings.append(pd.DataFrame(table))
        if table.dtype.isnative and table.dtype != np.float16:
            spellings.append(pl.DataFrame([pl.Series(str(i), column.tolist()) for i, column in enumerate(table.T)]))
    for spelling in spellings:
        for one, other in zip(answers(spelling), expected, strict=True):
            assert same(one, other), (type(spelling), one, other)


@settings(derandomize=True, database=None, deadline=None, max_examples=25)
@for_all(tables())
def test_tables_of_any_kind_are_answered_alike(table: Any) -> None:
    assert_the_same_answers(table)


@pytest.mark.slow
@settings(derandomize=True, database=None, deadline=None, max_examples=400)
@for_all(tables())
def test_many_tables_of_any_kind_are_answered_alike(table: Any) -> None:
    assert_the_same_answers(table)
