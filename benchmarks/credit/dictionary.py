"""Credit data with many rules of order, declared once for every benchmark that reads them.

FICO's data dictionary states the direction of the probability of a bad outcome in eighteen columns of HELOC, in two of them on a
range of values, which counts as all values where a benchmark does not say otherwise. Its special codes lie outside every order:
no record, no usable trades, a condition that was not met. Of Taiwan's credit cards the thirteen rules are domain knowledge:
months late raise the probability of default, payments and the limit lower it.
"""

from __future__ import annotations

from benchmarks.problems import Problem

__all__ = ["FICO_CODES", "HELOC", "HELOC_RANGES", "LATE", "PAY_STATUSES", "TAIWAN", "UNKNOWN_STATUS"]

#: No record, no usable trades, condition not met. Rows that hold nothing but the first are no records at all.
FICO_CODES = (-9, -8, -7)

HELOC = Problem(
    "heloc",
    "risk_bad",
    {
        "external_risk_estimate": -1, "msince_oldest_trade_open": -1, "msince_most_recent_trade_open": -1, "average_min_file": -1,
        "num_satisfactory_trades": -1, "num_trades60_ever2_derog_pub_rec": 1, "num_trades90_ever2_derog_pub_rec": 1,
        "percent_trades_never_delq": -1, "msince_most_recent_delq": -1, "num_trades_openin_last12_m": 1,
        "msince_most_recent_inqexcl7days": -1, "num_inq_last6_m": 1, "num_inq_last6_mexcl7days": 1,
        "net_fraction_revolving_burden": 1, "net_fraction_install_burden": 1, "num_bank2_natl_trades_whigh_utilization": 1,
        "max_delq2_public_rec_last12_m": -1, "max_delq_ever": -1,
    },
    "FICO's data dictionary",
)  # fmt: skip

#: Where the dictionary limits a rule.
HELOC_RANGES = {"max_delq2_public_rec_last12_m": (0.0, 7.0), "max_delq_ever": (2.0, 8.0)}

_MONTHS = ("sep", "aug", "jul", "jun", "may", "apr")

#: Months late, from first to last, and the state that has no place among them.
LATE = ("Clear", "Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight")
UNKNOWN_STATUS = "Unk"

PAY_STATUSES = tuple(f"pay_status_{month}" for month in _MONTHS)

TAIWAN = Problem(
    "taiwan_credit",
    "default_next_month",
    dict.fromkeys(PAY_STATUSES, 1) | {f"pay_amount_{month}": -1 for month in _MONTHS} | {"amount": -1},
    "domain knowledge",
)
