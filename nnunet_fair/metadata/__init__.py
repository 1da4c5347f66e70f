"""Who the patients are: tables, attributes, ``fair_cases.csv``, coverage, folds."""
