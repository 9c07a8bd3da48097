"""What scikit-learn expects of an estimator besides its methods: tags, routing of metadata, containers, a picture.

An aligned estimator stands in for the one that it wraps, so it answers scikit-learn's questions as that one does: which inputs
it takes (tags), which arguments of ``fit`` go to it (metadata routing [1]_). Two answers are its own. Results with several
columns, such as intervals, come in the container that ``set_output`` asked for; predictions stay arrays, as everywhere in
scikit-learn. And a notebook shows next to the diagram what was promised.

References
----------
.. [1] Buitinck, L. et al. (2013). API design for machine learning software: experiences from the scikit-learn project.
   arXiv:1309.0238
"""

from __future__ import annotations

from html import escape
from importlib import import_module
from typing import Any, Self

from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping

from alignconf._typing import FloatArray
from alignconf.contract.outputs import Outputs
from alignconf.errors import InputError
from alignconf.tables.checks import check_choice

__all__ = ["CONTAINERS", "ENDS", "ConventionalEstimator"]

#: What ``set_output`` may be asked for.
CONTAINERS = ("default", "pandas", "polars")

#: Names of the columns of an interval, or of a distribution from below and from above.
ENDS = ("lower", "upper")

#: What the wrapped estimator takes, the aligned one takes too.
PASSED_ON = ("categorical", "string", "positive_only", "allow_nan")


class ConventionalEstimator(MetaEstimatorMixin, BaseEstimator):
    """A meta-estimator around ``estimator`` that keeps scikit-learn's conventions."""

    estimator: Any

    def __sklearn_tags__(self) -> Any:
        """Return scikit-learn's tags: inputs are those of the wrapped estimator, dense ones only, with one target."""
        tags = super().__sklearn_tags__()
        if hasattr(self.estimator, "__sklearn_tags__") and not isinstance(self.estimator, type):
            model_tags = get_tags(self.estimator)
            for name in PASSED_ON:
                setattr(tags.input_tags, name, getattr(model_tags.input_tags, name))
            tags.non_deterministic = model_tags.non_deterministic
        tags.input_tags.sparse = False
        tags.target_tags.required = True
        tags.target_tags.multi_output = False
        return tags

    def get_metadata_routing(self) -> Any:
        """Return what ``fit`` passes on to the wrapped estimator's ``fit``, as scikit-learn's metadata routing asks.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose the container of results with several columns: intervals and distributions.

        The parameter has the name that scikit-learn gives it. Predictions and probabilities stay arrays, whatever is chosen.

        Parameters
        ----------
        transform : {"default", "pandas", "polars"}, optional
            ``"default"``: arrays. None leaves the choice as it is.

        Returns
        -------
        self

        Raises
        ------
        InputError
            If the container is not known, or its library not installed.
        """
        if transform is None:
            return self
        check_choice("transform", transform, CONTAINERS)
        if transform != "default":
            _library(transform)
        # The attribute that scikit-learn's clone copies.
        self._sklearn_output_config = {"transform": transform}
        return self

    @property
    def _is_framed(self) -> bool:
        """Whether results with several columns come as data frames."""
        return bool(getattr(self, "_sklearn_output_config", {}).get("transform", "default") != "default")

    @property
    def _outputs(self) -> Outputs | None:
        """The outputs of the aligned function; None if it has one."""
        return None

    def _columns_of(self, *ends: str) -> tuple[str, ...]:
        """Return the names of the columns of results: outputs, or the ends of each of them; none for a single column."""
        outputs = self._outputs
        if outputs is None:
            return ends
        return tuple(f"{end} {label}" if end else str(label) for label in outputs.labels for end in ends or ("",))

    def _contained_outputs(self, ends: FloatArray, X: Any) -> Any:
        """Return ends (n_samples, 2), or of each output (n_samples, n_outputs, 2), as an array or in the container of choice."""
        if ends.ndim == 3 and not self._is_framed:
            return ends
        return self._contained(ends.reshape(len(ends), -1), X, self._columns_of(*ENDS))

    def _contained(self, values: FloatArray, X: Any, names: tuple[str, ...]) -> Any:
        """Return columns (n_samples, n_names) in the container of choice; a pandas frame keeps the index of ``X``."""
        container = getattr(self, "_sklearn_output_config", {}).get("transform", "default")
        if container == "default":
            return values
        library = _library(container)
        if container == "polars":
            return library.DataFrame(dict(zip(names, values.T.copy(), strict=True)))
        index = X.index if isinstance(X, library.DataFrame) else None
        return library.DataFrame(values, columns=list(names), index=index)

    def _summary(self) -> dict[str, str]:
        """Return what a notebook shows of the promise, by name."""
        return {}

    def _html(self) -> str:
        rows = "".join(
            f"<tr><th>{escape(name)}</th><td>{escape(text)}</td></tr>" for name, text in self._summary().items()
        )
        diagram: str = estimator_html_repr(self)
        return f"{diagram}<table>{rows}</table>" if rows else diagram

    @property
    def _repr_html_(self) -> Any:
        if get_config()["display"] != "diagram":
            raise AttributeError("_repr_html_ is only there if scikit-learn's configuration has display='diagram'.")
        return self._html

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:  # noqa: ARG002
        shown = {"text/plain": repr(self)}
        if get_config()["display"] == "diagram":
            shown["text/html"] = self._html()
        return shown


def _library(name: str) -> Any:
    try:
        return import_module(name)
    except ImportError as error:
        raise InputError(f"transform={name!r} needs {name}, which is not installed; install {name}.") from error
