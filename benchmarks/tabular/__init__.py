"""The tabular suite: does alignment work, what does it cost, and who else can do it.

``python -m benchmarks tabular`` runs every *problem* (a data set and a rule for predictions) with every *model* and every
*method* (what is done about the broken rule, nothing included) for a few seeds. Rows of results go to one file, line by line; a
report is made from that file alone, also of a part that is finished (``--finished``).

====================  =======================================================================
:mod:`.sources`       where data sets come from, with checksums
:mod:`.problems`      which rule is asked of which data set, and who states it
:mod:`.models`        the models, with their libraries' own constraints where there are any
:mod:`.lineup`        the methods
:mod:`.measures`      error, fresh queries, displacement
:mod:`.remembered`    slow models that are not asked twice
:mod:`.cells`         one problem, model and seed: the rows of all methods
:mod:`.runner`        all of them, in parallel and resumable
:mod:`.summary`       from rows to numbers: ratios with intervals, promises cell by cell
:mod:`.losses`        where alignment loses, each with a reason
:mod:`.report`        what is told, and in which order
:mod:`.figures`       dials, the win/loss matrix, lines before and after
:mod:`.page`          sections as Markdown and as one HTML page
====================  =======================================================================
"""
