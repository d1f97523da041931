"""What papers claim of transformers, and what a study's tables say of it.

A package holds the claims of a paper, a module those of a section.
:mod:`~headalgebra.claims.ledger` judges them all; :mod:`~headalgebra.claims.readme` and
:mod:`headalgebra.pages` show them.
"""
