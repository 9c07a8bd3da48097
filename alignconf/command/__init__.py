"""``alignconf`` on the command line: check a stored model against a property, or align it.

    alignconf check model.joblib data.csv --decreasing v --max-rate 0.05 --html report.html
    alignconf align model.joblib data.csv --decreasing v --alpha 0.05 -o aligned.joblib
    alignconf demo

``check`` ends with a code that a script can act on (:mod:`alignconf.certify.verdict` defines the words):

====  ==========================================================================================================
code  meaning
====  ==========================================================================================================
0     ``holds``; or, with ``--max-rate 0``, ``no violation seen``
1     ``violated``
2     bad input: nothing was found out, the reason is on standard error, and no file was written
3     ``undecided``: the rows leave open whether the rate exceeds ``--max-rate``; give more of them
====  ==========================================================================================================

``-`` in place of a file of ``--html`` or ``--junit`` means standard output, and what is printed otherwise goes to standard error.

``align`` ends with 1 where fresh rows, given with ``--certify-data``, show that its promise is not kept; the model is stored all
the same. Otherwise ``align`` and ``demo`` end with 0 when they did what was asked, and with 2 otherwise. A model that fails while
it is asked is bad input too, whatever it raises: 1 always means that violations were found.
"""

from __future__ import annotations

from collections.abc import Sequence

from alignconf.command.arguments import parser
from alignconf.command.ending import Ending, aside, complain, conclude
from alignconf.errors import AlignConfError

__all__ = ["main"]

BAD_INPUT = 2
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code.

    Parameters
    ----------
    arguments : sequence of str, optional
        Without the name of the program; those of the process by default.
    """
    try:
        given = parser().parse_args(arguments)
    except AlignConfError as error:
        complain(str(error))
        return BAD_INPUT
    try:
        with aside():
            ending: Ending = given.run(given)
    except AlignConfError as error:
        complain(str(error))
        return BAD_INPUT
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except (SystemExit, GeneratorExit) as error:
        said = f"{type(error).__name__}({error})"
        complain(f"the model, or loading it, ended the program with {said}; nothing was found out.")
        return BAD_INPUT
    except BaseException as error:
        complain(f"could not go on: {type(error).__name__}: {error}")
        return BAD_INPUT
    return conclude(ending)
