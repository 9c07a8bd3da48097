"""The page that joins what is known: every statement under its kind, one verdict at most, names from data stay text."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pandas as pd
import pytest

from alignconf import AlignedRegressor, InputError, check
from alignconf.deployment.finding import Kind
from alignconf.deployment.input_law import InputLaw
from alignconf.deployment.risk_page import MEANING, risk_page
from alignconf.deployment.search import search

HOSTILE = "<script>alert(1)</script>"


class Falls:
    """Falls along its first column where the second is large."""

    def predict(self, X):
        values = np.asarray(X, dtype=float)
        return np.where(values[:, 1] > 0.8, -values[:, 0], values[:, 0])


def uniform_rows(n_samples, seed=0):
    return np.random.default_rng(seed).uniform(size=(n_samples, 2))


def found_by_search(rows, feature=0):
    return search(Falls(), rows, {feature: "increasing"}, max_rows=600, random_state=0)


def test_without_a_certificate_there_is_no_verdict():
    page = risk_page(found_by_search(uniform_rows(100)))
    assert "No verdict" in page
    assert "no other kind of statement supports one" in page
    assert MEANING["lower bound"] in page.replace("&#x27;", "'")
    assert page.count("<section><h2>Search</h2>") == 1


def test_a_certificate_gives_the_verdict_and_a_finding_does_not_change_it(tmp_path):
    rows = uniform_rows(1200)
    aligned = AlignedRegressor(Falls(), {0: "increasing"}, alpha=0.1, random_state=0, confidence=None)
    aligned.calibrate(rows[:600], X_reference=uniform_rows(200, 1))
    certificate = aligned.certify(rows[600:])
    alone = certificate.to_html()
    path = tmp_path / "risk.html"
    assert risk_page(found_by_search(rows), certificate, path=path) == str(path)
    page = path.read_text()
    verdict = alone[alone.index('<section class="verdict') : alone.index("</section>")]
    assert verdict in page
    assert page.index("</section>") < page.index("<h2>Search</h2>")


def test_an_audit_is_judged_only_against_a_rate_that_is_named():
    rows = uniform_rows(400)
    audit = check(Falls(), rows, {0: "increasing"}, random_state=0)
    assert "give max_rate" in risk_page(audit)
    assert "No verdict" in risk_page(audit)
    judged = risk_page(audit, found_by_search(rows), max_rate=0.01)
    assert "No verdict" not in judged


def test_kinds_come_in_order_and_each_says_what_it_means():
    """Four kinds: search, slices, rare events, forecasts."""
    from alignconf.deployment.forecast import forecast_violations
    from alignconf.deployment.rare import violation_probability
    from alignconf.deployment.slices import find_slices

    rows = uniform_rows(800)
    declared = {0: "increasing"}
    parts = {
        "Forecast": forecast_violations(Falls(), rows, declared, 1e5, random_state=0),
        "Rare": violation_probability(Falls(), declared, InputLaw.from_rows(rows), size=0.5, random_state=0),
        "Search": found_by_search(rows),
        "Slices": find_slices(Falls(), rows, declared, random_state=0),
    }
    page = risk_page(*parts.values())
    at = [
        page.index(f"<h2>{name}</h2>") for name in sorted(parts, key=lambda name: list(MEANING).index(parts[name].kind))
    ]
    assert at == sorted(at)
    for one in parts.values():
        assert f"<strong>{one.kind}</strong>" in page
    assert set(MEANING) == set(get_args(Kind))


def test_names_from_data_stay_text_and_nothing_is_fetched():
    rows = pd.DataFrame(uniform_rows(100), columns=["a", HOSTILE])
    page = risk_page(found_by_search(rows, "a"), title=HOSTILE)
    assert HOSTILE not in page
    assert "&lt;script&gt;" in page
    assert "http" not in page.replace("http-equiv", "").replace("http://www.w3.org", "")


@pytest.mark.parametrize(
    ("statements", "keywords", "message"),
    [
        ((), {}, "nothing to show"),
        ((3,), {}, "a page shows findings, certificates and audits, got 3 of type int"),
        ((None,), {"title": ""}, "got None of type NoneType"),
    ],
)
def test_what_cannot_be_shown_is_refused(statements, keywords, message):
    with pytest.raises(InputError, match=message):
        risk_page(*statements, **keywords)


def test_two_verdicts_and_bad_arguments_are_refused():
    rows = uniform_rows(100)
    audit = check(Falls(), rows, {0: "increasing"}, random_state=0)
    with pytest.raises(InputError, match="a page has one verdict, got 2 certificates and audits"):
        risk_page(audit, audit)
    with pytest.raises(InputError, match="title must be some text"):
        risk_page(audit, title="")
    with pytest.raises(InputError, match=r"max_rate must be a number in \(0, 1\)"):
        risk_page(audit, max_rate=2)
    with pytest.raises(InputError, match="path must be the name of a file"):
        risk_page(audit, path=3)
