"""Malformed and odd arguments at every public entry point: refused in a sentence, or understood; nothing is changed.

The corpus is in ``tests/malformed.py`` and ``tests/malformed_deployment.py``; the fast suite runs a part of it, the slow one all
of it. Then hypothesis makes tables of any shape and type: what an array is answered, the frames that hold the same values are
answered too.
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
from alignconf.calibration.betting import upper_bound
from alignconf.calibration.loss_table import critical_of_table
from tests.malformed import (
    FRESH,
    REFERENCE,
    ROWS,
    Call,
    Elementwise,
    Misbehaving,
    ModelError,
    all_calls,
    calibrated,
    classifier,
    given,
    regressor,
)
from tests.malformed_deployment import deployment_calls

CALLS = [*all_calls(), *deployment_calls()]
ENTRIES = list(dict.fromkeys(call.entry for call in CALLS))

#: Frames of the wrapped model, of functions given by the user, and of scikit-learn's score: what they raise passes through.
OF_OTHERS = {"predict", "fit", "predict_proba", "_raises", "__array__"}


def state(called: Any) -> Any:
    """Return what an estimator holds: the objects themselves, and their contents where they can be written down."""
    return None if called is None else {name: (id(value), written(value)) for name, value in vars(called).items()}


def written(value: Any) -> bytes | None:
    """Return what a value holds, byte for byte; None for a test's own functions, which only have their identity compared."""
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError, RecursionError):
        return None


def is_of_others(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    theirs = any(frame.name in OF_OTHERS and "malformed" in frame.filename for frame in frames)
    last_of_ours = [frame.name for frame in frames if "alignconf" in frame.filename][-1:]
    scored = any("metrics" in frame.filename for frame in frames)
    return isinstance(error, ModelError) or theirs or last_of_ours in (["row_answers"], ["_ask"]) or scored


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
    # A row of a frame is named by its label, and its position is told beside it.
    positions = [re.sub(r"row [^:]+ \(position (\d+)\)", r"row \1", str(answer)) for answer in (one, other)]
    return positions[0] == positions[1]


# The corpus -----------------------------------------------------------------------------------------------------------


def test_the_corpus_is_as_large_as_it_is_said_to_be() -> None:
    assert len(CALLS) > 20_000
    assert len({str(call) for call in CALLS}) == len(CALLS)
    assert [str(call) for call in [*all_calls(), *deployment_calls()]] == [str(call) for call in CALLS]
    assert {call.verdict for call in CALLS} == {"refused", "same", "either"}


def problems(calls: list[Call]) -> list[str]:
    found = ((call, problem(call)) for call in calls)
    return [f"{call} ({call.verdict}): {wrong}" for call, wrong in found if wrong]


@pytest.mark.parametrize("part", range(4))
def test_a_sample_of_the_corpus(part: int) -> None:
    assert problems(CALLS[3 * part :: 24 * 4]) == []


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


# What is said -------------------------------------------------------------------------------------------------------

MASKED = np.ma.array(FRESH[:, 0], mask=FRESH[:, 0] > 0.5)
SAID: dict[str, tuple[Any, str]] = {
    "masked answers": (
        lambda: regressor(estimator=Misbehaving(lambda values: np.ma.masked_less(values, 9))).calibrate(ROWS),
        r"Misbehaving\.predict returned a masked array with masked values; expected one number for each row",
    ),
    "ragged answers": (
        lambda: regressor(estimator=Misbehaving(lambda values: [[1.0], [1.0, 2.0]])).calibrate(ROWS),
        r"Misbehaving\.predict returned what is no array .*; expected one number for each row",
    ),
    "masked losses": (
        lambda: upper_bound(MASKED, 0.9),
        r"losses is a masked array with \d+ masked values; expected an array",
    ),
    "complex losses": (
        lambda: upper_bound(FRESH[:, 0] + 1j, 0.9),
        r"losses must be numbers, got values of type complex128",
    ),
    "huge alpha": (
        lambda: critical_of_table([[1.0, 0.0]], [0.0, 1.0], 1e307),
        r"alpha must be below the bound of the losses, got 1e\+307",
    ),
    "many knots": (
        lambda: regressor(n_knots=10**30).calibrate(ROWS),
        r"n_knots must be at most 1,000,000, got 1000000000000000000000000000000",
    ),
    "verbose": (
        lambda: regressor(verbose="loud").calibrate(ROWS),
        r"verbose must be True or False, got 'loud' of type str",
    ),
    "byte order": (
        lambda: regressor().calibrate(pd.DataFrame(ROWS.astype(">f8"), columns=list("abcd"))),
        r"X has the column 'a' of type >f8, in the byte order of another machine, .* with X\.astype\('<f8'\)",
    ),
    "masked table": (
        lambda: regressor().calibrate(np.ma.array(ROWS, mask=ROWS > 0.9)),
        r"X is a masked array with \d+ masked values, which the model would not see as missing; .*\.filled\(np\.nan\)",
    ),
    "no table": (
        lambda: regressor().calibrate([[1.0], [1.0, 2.0]]),
        r"X is no table, got list \(.*\); expected an array",
    ),
    "complex column": (
        lambda: regressor().calibrate(pd.DataFrame(ROWS).astype({0: complex})),
        r"feature 0 holds complex numbers; expected real ones\. Take their real part",
    ),
    "dictionaries": (
        lambda: regressor().calibrate(np.full((60, 4), {"a": 1})),
        r"feature 0 holds values that are neither numbers nor categories \(.*\); expected one number, or one text",
    ),
    "a column as groups": (
        lambda: regressor(groups=[["a"], ["b"]]).calibrate(ROWS),
        r"groups must be a column, a list of columns or a function of the rows, got \[\['a'\], \['b'\]\] of type list; labels",
    ),
    "sets as groups": (
        lambda: regressor().calibrate(ROWS, groups=[{1}] * 60),
        r"groups holds values such as \{1\}, which are no labels; expected one for each row",
    ),
    "sets as groups of outcomes": (
        lambda: calibrated().calibrate_outcome(FRESH, FRESH[:, 0], groups=lambda X: [{1}] * len(X)),
        r"groups gives \{1\} for row 0, which is no label; expected one for each row",
    ),
    "a series as difficulty": (
        lambda: regressor(difficulty=pd.Series(ROWS[:, 0])).calibrate(ROWS),
        r"(?s)difficulty must be a function from rows to positive numbers, .* of type Series",
    ),
    "one class": (
        lambda: classifier().fit(ROWS, np.ones(60)),
        r"y has one class, 1\.0, in all rows; expected two or more classes",
    ),
    "labels that are no classes": (
        lambda: classifier().fit(ROWS, ROWS[:, 0]),
        r"Unknown label type: continuous\. y holds values such as 0\.\d+; expected class labels",
    ),
    "labels without a value": (
        lambda: classifier().fit(ROWS, np.full(60, np.nan)),
        r"Input y contains NaN or infinity; expected class labels\. Drop those rows",
    ),
}


@pytest.mark.parametrize("what", SAID)
def test_a_refusal_says_what_is_wrong_and_what_was_expected(what: str) -> None:
    entry, sentence = SAID[what]
    with pytest.raises(AlignConfError, match=sentence):
        entry()


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
        lambda: aligned.predict_band(X),
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


@settings(database=None, max_examples=15)
@for_all(tables())
def test_tables_of_any_kind_are_answered_alike(table: Any) -> None:
    assert_the_same_answers(table)


@pytest.mark.slow
@settings(database=None, max_examples=400)
@for_all(tables())
def test_many_tables_of_any_kind_are_answered_alike(table: Any) -> None:
    assert_the_same_answers(table)


#: Calls at which a whole run of the corpus once found an error that was no sentence, or an answer that was wrong.
MENDED = [
    "regressor.certify-X-int",
    "check-X-index of pairs",
    "plotting.line-X-all nan",
    "EstimatedRatio-X_deployment-fractions",
    "EstimatedRatio-X_deployment-decimals",
    "regressor(estimator)-estimator-dict",
    "regressor(estimator)-estimator-function of none",
    "regressor(outputs)-outputs-no dimension",
    "regressor(special)-special-numpy false",
    "forecast-scores-nested",
    "search_slices-X-rows: huge integers",
    "find_slices-n_jobs-huge int",
    "harmful_laws-simulate-class",
    "harmful_laws-simulate-function of nothing",
]


@pytest.mark.parametrize("name", MENDED)
def test_calls_once_answered_wrongly(name: str) -> None:
    [call] = [call for call in CALLS if str(call) == name]
    assert problem(call) is None
