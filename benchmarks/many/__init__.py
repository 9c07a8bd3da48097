"""Many rules of order on tree ensembles, at full strength: error against the library's own constraint, violations, cost.

``python -m benchmarks many`` runs ten data sets with 2 to 18 rules, three libraries of boosted trees and three seeds: 90 *runs*.
In each a model is fitted as usual, and every *method* makes of it one that has all rules together (``alpha=0``); the yardstick
is the same model trained under its library's own constraint. With ``--pairs`` it counts instead, on four libraries, the pairs
of rows that models with their leaves in order get wrong, and with ``--dial`` it turns ``alpha``.

==========================  ==========================================================================
:mod:`.ruled_data`          the data sets, their rules, and rows as numbers
:mod:`.boosted`             the libraries, with their own constraints
:mod:`.lineup`              the methods
:mod:`.joint_pairs`         pairs of rows in the declared order
:mod:`.measured`            one data set, library and seed: what every method shows
:mod:`.records`             results, a line for each run, and what of them is missing
:mod:`.comparison`          the tables
:mod:`.dial`                violations, error and distance to the model as ``alpha`` turns
:mod:`.proof`               pairs at thresholds, on lines and between rows, in margins and predictions
:mod:`.command`             the command line
==========================  ==========================================================================
"""
