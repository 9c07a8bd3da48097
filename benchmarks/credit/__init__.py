"""Credit, against everyone: two data sets with many rules, every model, and whatever else could do the job.

``python -m benchmarks credit --data DIR``: HELOC with FICO's dictionary, eighteen rules, special codes and ranges, and Taiwan's
credit cards with thirteen rules.

====================  =======================================================================
:mod:`.dictionary`    the rules of both data sets, which other benchmarks share
:mod:`.portfolios`    rows, rules, and which rows hold special codes
:mod:`.models`        the models that are fitted
:mod:`.lineup`        what can be done about broken rules, and what each asks for
:mod:`.measured`      one data set, model and seed: what every method shows at the test rows
:mod:`.records`       runs that are kept, and those that are lacking
:mod:`.report`        the tables
:mod:`.command`       the command line
====================  =======================================================================
"""
