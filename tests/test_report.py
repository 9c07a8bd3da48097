"""Reports as pages: what they say, that names from data stay text, and how a browser shows them."""

from __future__ import annotations

import os
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from alignconf import AlignedClassifier, AlignedRegressor, InputError, check
from alignconf.certify.report.page import FigureTable, Page, Picture, Section
from alignconf.certify.verdict import Verdict
from alignconf.losses.magnitude import Magnitude
from alignconf.properties import Bounded, DiminishingReturns, Increasing, Invariant, Ordered
from tests.browser import look_at, needs_browser, print_to_pdf

#: A name that would be markup, a script or a formula anywhere it is not text.
HOSTILE = '<script>alert(1)</script><img src=x onerror=alert(2)>"\' & $x^2$ id="a" #0072b2 \u4ef7\u683c'


class Wave:
    """sin(5 x_0) x_1 + x_2, and categories in a column of text if there is one."""

    def predict(self, X: Any) -> np.ndarray:
        table = X.to_numpy() if hasattr(X, "to_numpy") else X
        values = np.asarray(table[:, :3], dtype=float)
        rank = 0.0
        if table.shape[1] > 3:
            rank = np.array([{"low": 0.0, "middle": 2.0}.get(word, 1.0) for word in table[:, 3]])
        return np.sin(5 * values[:, 0]) * values[:, 1] + values[:, 2] + rank


class Yes:
    """A classifier of three classes by the same wave."""

    classes_ = np.array(["no", "perhaps", HOSTILE])

    def predict_proba(self, X: Any) -> np.ndarray:
        p = 1 / (1 + np.exp(-Wave().predict(X)))
        return np.column_stack([(1 - p) / 2, (1 - p) / 2, p])

    def predict(self, X: Any) -> np.ndarray:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


def rows(n_rows: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).random((n_rows, 3))


def frame(n_rows: int, seed: int) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    table = pd.DataFrame({HOSTILE: random.random(n_rows), "b": random.random(n_rows), "c": random.random(n_rows)})
    table["grade"] = random.choice(["low", "middle", HOSTILE], n_rows)
    table.attrs["units"] = {"b": "<i>kg</i>"}
    return table


HOSTILE_RULES = [Increasing(HOSTILE), Increasing("b"), Ordered("grade", ["low", "middle", HOSTILE])]


@pytest.fixture(scope="module")
def audit() -> Any:
    return check(Wave(), frame(300, 0), HOSTILE_RULES, random_state=0)


@pytest.fixture(scope="module")
def certificate() -> Any:
    aligned = AlignedRegressor(
        Wave(), {0: 1}, alpha=0.1, confidence=0.95, groups=lambda X: X[:, 1] > 0.5, random_state=0
    )
    X = rows(300, 2)
    return aligned.calibrate(rows(300, 1)).certify(X, Wave().predict(X) + 0.1)


@pytest.fixture(scope="module")
def of_class() -> Any:
    aligned = AlignedClassifier(
        Yes(), HOSTILE_RULES, pos_label=HOSTILE, alpha=[0.1, 0.2, 0.1], n_knots=12, random_state=0, confidence=None
    )
    return aligned.calibrate(frame(300, 1)).certify(frame(200, 2), n_queries=2)


@pytest.fixture(scope="module")
def pages(audit: Any, certificate: Any, of_class: Any) -> list[str]:
    return [audit.to_html(), certificate.to_html(), of_class.to_html()]


class Reader(HTMLParser):
    """Collects tags, attributes and text; refuses tags that are closed in another order than opened."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in ("meta", "link", "path", "use"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("path", "use"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.words += data


# ---------------------------------------------------------------------------------------------------------------------
# What pages say
# ---------------------------------------------------------------------------------------------------------------------
def test_an_audit_says_verdict_sentence_worst_queries_settings_and_versions(audit: Any) -> None:
    words = Reader(audit.to_html(max_rate=0.05)).words
    assert "Violated" in words
    assert Verdict(audit.violations, 0.05).reason in words
    assert all(line in words for line in audit.sentence.split("\n"))
    for witness in audit.witnesses:
        assert f"{witness.excess:.6g}" in words
        assert all(f"{witness.feature} = {point}: " in words for point in witness.points)
    for name, value in audit.settings:
        assert name in words
        assert value in words
    assert dict(audit.settings)["numpy"] == np.__version__
    assert dict(audit.settings)["Random state"] == "0"
    assert "No violation seen" not in words


def test_a_page_without_a_violation_says_so_and_has_no_table_of_them() -> None:
    clean = check(Wave(), rows(200, 0), {2: 1}, random_state=0)
    assert clean.witnesses == clean.lines == ()
    page = clean.to_html()
    assert "No violation seen" in page
    assert "Worst queries" not in page
    assert "Undecided" in clean.to_html(max_rate=0.001)


def test_a_certificate_says_all_that_its_words_say(certificate: Any, pages: list[str]) -> None:
    words = Reader(pages[1]).words
    assert all(line in words for line in certificate.sentence.split("\n"))
    assert "delivered, group True" in words
    assert "The weakest of 3 verdicts, each by itself: " in words
    assert "with probability at least 0.95 over the calibration draw" in words, "the promise is part of the settings"
    assert dict(certificate.evidence.settings)["Calibration rows"] == "240"
    assert words.count("Row of X") == 2 + words.count("Row of X:")


def test_witnesses_of_a_certificate_can_be_asked_again() -> None:
    """The worst queries of the delivered function and of the model, put to ``predict`` by hand."""
    aligned = AlignedRegressor(Wave(), {0: 1, 1: -1}, alpha=0.2, n_knots=12, random_state=0, confidence=None).calibrate(
        rows(300, 1)
    )
    X = rows(400, 2)
    for n_queries in (1, 4):
        found = aligned.certify(X, n_queries=n_queries).evidence
        for witnesses, function in ((found.witnesses, aligned), (found.witnesses_before, Wave())):
            assert len(witnesses) == 10
            assert [one.excess for one in witnesses] == sorted((one.excess for one in witnesses), reverse=True)
            for one in witnesses:
                moved = np.repeat(X[[one.row]], 2, axis=0)
                moved[:, one.feature] = one.values
                low, high = function.predict(moved)
                assert (low, high) == pytest.approx(one.predictions, abs=1e-12)
                sign = {0: 1, 1: -1}[one.feature]
                assert sign * (low - high) == pytest.approx(one.excess, abs=1e-12)


def test_the_line_that_a_certificate_keeps_is_the_function() -> None:
    X = rows(200, 2)
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, random_state=0, confidence=None).calibrate(rows(300, 1))
    (line,) = aligned.certify(X).evidence.lines
    moved = np.repeat(X[[line.row]], len(line.places), axis=0)
    moved[:, 0] = line.places
    np.testing.assert_allclose(line.delivered, aligned.predict(moved), atol=1e-12)
    np.testing.assert_allclose(line.model, Wave().predict(moved), atol=1e-12)
    np.testing.assert_allclose(np.transpose([line.low, line.high]), aligned.predict_band(moved), atol=1e-12)
    assert line.row_place == X[line.row, 0]


def test_the_marked_points_of_an_audit_are_the_worst_query(audit: Any) -> None:
    by_feature = {line.label.split(" (")[0]: line for line in audit.lines}
    worst = audit.worst
    line = by_feature[str(worst.feature)]
    assert line.row == worst.row
    assert tuple(value for _, value in line.marked) == worst.predictions


def test_a_size_that_was_promised_has_no_verdict() -> None:
    aligned = AlignedRegressor(
        Wave(), {0: 1}, alpha=0.05, loss=Magnitude(largest=2), random_state=0, confidence=None
    ).calibrate(rows(300, 1))
    found = aligned.certify(rows(200, 2))
    assert found.promised is None
    words = Reader(found.to_html()).words
    assert f"{found.before.rate:.2%} of queries violated before, {found.delivered.rate:.2%} after" in words
    assert "No verdict, as this function was asked to keep to no rate" in words
    assert "Holds" in Reader(found.to_html(max_rate=0.9)).words


@pytest.mark.parametrize(
    "properties",
    [
        Bounded(0, 0.8),
        DiminishingReturns(0, 1),
        [Invariant(0), Increasing(1)],
        {0: ["increasing", "concave"]},
        Invariant(transforms=[np.fliplr]),
    ],
    ids=str,
)
def test_any_property_has_a_page(properties: Any) -> None:
    audit = check(Wave(), rows(60, 0), properties, random_state=0)
    assert audit.violations.n_rejected
    assert "Worst queries" in Reader(audit.to_html()).words
    aligned = AlignedRegressor(Wave(), properties, alpha=0.3, n_knots=5, random_state=0, confidence=None).calibrate(
        rows(40, 1)
    )
    Reader(aligned.certify(rows(20, 2)).to_html())


def test_full_strength_is_held_to_no_violation_at_all() -> None:
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0, random_state=0).calibrate(rows(100, 1))
    words = Reader(aligned.certify(rows(60, 2)).to_html()).words
    assert "No violation seen" in words
    assert "alpha = 0" in words


# ---------------------------------------------------------------------------------------------------------------------
# Names stay text; nothing is loaded
# ---------------------------------------------------------------------------------------------------------------------
def test_names_stay_text(pages: list[str]) -> None:
    for page in (pages[0], pages[2]):
        read = Reader(page)
        assert not {"script", "img", "iframe", "object", "i", "b"} & set(read.tags)
        assert not [name for name, _ in read.attributes if name.startswith("on")]
        assert HOSTILE in re.sub(r"\s+", " ", read.words)
        assert "<i>kg</i>" in read.words


def test_every_text_of_a_page_is_said_as_text() -> None:
    """Each field has a text of its own, which would be markup if it were not escaped."""
    texts = (f"<script>{number}</script> & <b>'{number}'</b>" for number in range(20))
    facts = [next(texts), next(texts)]
    row = (next(texts), (next(texts), next(texts)))
    table = FigureTable(next(texts), next(texts), (next(texts), next(texts)), (row,))
    section = Section(next(texts), next(texts), next(texts), [next(texts)])
    title, word, sentence, caption, name, value = (next(texts) for _ in range(6))
    html = Page(
        title, word, sentence, facts, [Picture("<svg></svg>", caption)], [table], [(name, value)], [section]
    ).html()
    reader = Reader(html)
    assert not {"script", "b"} & set(reader.tags)
    fields = [*facts, *table.header, row[0], *row[1], table.title, table.caption, section.title, section.kind, section.meaning,
              *section.facts, title, word, sentence, caption, name, value]  # fmt: skip
    assert [text for text in fields if text not in reader.words] == []
    assert ("data-label", table.header[0]) in reader.attributes


def test_nothing_is_loaded_from_anywhere(pages: list[str]) -> None:
    for page in pages:
        read = Reader(page)
        for name, value in read.attributes:
            if name in ("href", "src", "xlink:href", "data", "action", "background", "poster", "srcset"):
                assert value.startswith("#") or value == "data:,", value
        assert all(target.startswith("#") for target in re.findall(r"url\(([^)]*)\)", page))
        assert "@import" not in page
        assert "default-src 'none'" in page


def test_identifiers_are_used_once_and_found(pages: list[str]) -> None:
    for page in pages:
        read = Reader(page)
        identifiers = [value for name, value in read.attributes if name == "id"]
        assert len(identifiers) == len(set(identifiers))
        used = re.findall(r"url\(#([^)]*)\)", page) + [v[1:] for n, v in read.attributes if n == "href" and v[0] == "#"]
        assert used
        assert set(used) <= set(identifiers)


def test_the_same_finding_gives_the_same_page(certificate: Any, pages: list[str]) -> None:
    assert certificate.to_html() == pages[1]


# ---------------------------------------------------------------------------------------------------------------------
# Files
# ---------------------------------------------------------------------------------------------------------------------
def test_a_page_is_written_whole(audit: Any, tmp_path: Path) -> None:
    target = tmp_path / "report.html"
    assert audit.to_html(target) == str(target) == audit.to_html(str(target))
    assert target.read_text(encoding="utf-8") == audit.to_html()
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_a_page_that_cannot_be_finished_leaves_the_old_one(audit: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """Interrupted before the new page takes the place of the old one: the old one is whole, and nothing else is left."""
    path = tmp_path / "page.html"
    path.write_text("the old page")

    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for owner, name in ((Path, "replace"), (Path, "rename"), (os, "replace"), (os, "rename")):
            patch.setattr(owner, name, interrupted)
        with pytest.raises(KeyboardInterrupt):
            audit.to_html(path)
    assert path.read_text() == "the old page"
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_paths_that_cannot_be_written_are_refused(audit: Any, certificate: Any, tmp_path: Path) -> None:
    for found in (audit, certificate):
        with pytest.raises(InputError, match="cannot be written: expected a file in a directory that exists"):
            found.to_html(tmp_path / "nowhere" / "report.html")
        with pytest.raises(InputError, match="cannot be written"):
            found.to_html(tmp_path)
        with pytest.raises(InputError, match="path must be the name of a file, got 3 of type int"):
            found.to_html(3)
    with pytest.raises(InputError, match="max_rate must be a number"):
        audit.to_html(max_rate=2)


# ---------------------------------------------------------------------------------------------------------------------
# In a browser
# ---------------------------------------------------------------------------------------------------------------------
@needs_browser
def test_a_phone_shows_pages_whole_dark_and_offline(pages: list[str], tmp_path: Path) -> None:
    """At 360 and 320 px nothing sticks out, no text of a picture is cut off or covered, and nothing is asked of a network."""
    shown, console = look_at([(page, width) for page in pages for width in (360, 320)], tmp_path, dark=True)
    assert console == []
    for found in shown:
        assert found["width"] == found["client"]
        assert found["wide"] == []
        assert found["loaded"] == []
        assert found["from_data"] == 0
        assert max(map(int, re.findall(r"\d+", found["paper"])[:3])) < 60
        assert min(map(int, re.findall(r"\d+", found["ink"])[:3])) > 180
        assert found["texts"]
        for texts in found["texts"]:
            _check_texts(texts)


def _check_texts(texts: list[dict[str, Any]]) -> None:
    level = [text for text in texts if not text["slanted"]]
    for i, one in enumerate(level):
        assert one["size"] >= 8, f"too small to read: {one}"
        assert one["left"] >= -1, f"cut off: {one}"
        assert one["right"] <= one["width"] + 1, f"cut off: {one}"
        assert one["bottom"] <= one["height"] + 1, f"cut off: {one}"
        for other in level[:i]:
            across = min(one["right"], other["right"]) - max(one["left"], other["left"])
            down = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
            assert min(across, down) <= 3, f"{one['words']!r} covers {other['words']!r}"


@needs_browser
def test_the_browser_would_notice(pages: list[str], tmp_path: Path) -> None:
    """In light colours; and the same tests on a page that breaks the rules, so that they are known to be able to fail."""
    page = pages[1]
    broken = page.replace("<main>", '<main><img src="http://example.invalid/x.png"><p style="width:900px">wide</p>')
    (light, bad), console = look_at([(page, 390), (broken, 390)], tmp_path)
    assert min(map(int, re.findall(r"\d+", light["paper"])[:3])) > 240
    assert bad["width"] > bad["client"]
    assert "P" in bad["wide"]
    assert len(console) == 1
    assert "Content Security Policy" in console[0]


@needs_browser
def test_pages_print(pages: list[str], tmp_path: Path) -> None:
    printed = print_to_pdf(pages[1], tmp_path)
    assert printed.startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) >= 2


def test_a_page_shows_how_far_predictions_were_moved_and_a_typical_row_before_the_worst() -> None:
    aligned = AlignedRegressor(Wave(), {0: 1}, alpha=0.1, n_knots=12, random_state=0).calibrate(rows(300, 1))
    X = rows(400, 2)
    certificate = aligned.certify(X)
    moved = aligned.predict(X) - Wave().predict(X)
    moves, typical = certificate.evidence.moves, certificate.evidence.typical
    assert moves.n_unmoved == (moved == 0).sum()
    assert moves.n_moves == 400
    counts, _ = np.histogram(moved[moved != 0], moves.edges)
    assert list(moves.counts) == counts.tolist()
    sizes = np.abs(moved[moved != 0])
    assert (sizes <= abs(moved[typical.row])).mean() >= 0.5
    assert (sizes >= abs(moved[typical.row])).mean() >= 0.5
    page = certificate.to_html()
    assert page.index("How far predictions were moved") < page.index("a typical one") < page.index("the worst: ")
    assert "typical" not in certificate.to_dict()
    idle = AlignedRegressor(Wave(), {2: 1}, alpha=0.1, n_knots=12, random_state=0).calibrate(rows(300, 1)).certify(X)
    assert idle.evidence.moves.counts == ()
    assert idle.evidence.typical is None
    assert "How far predictions were moved" not in idle.to_html()
