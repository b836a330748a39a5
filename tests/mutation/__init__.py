"""Mutation testing of the rules: `make mutation`, which runs `python -m tests.mutation`.

`operators` are the ways in which a rule is broken, `mutants` the broken rules, `reach` says which
tests run which line, `trial` runs the tests of one mutant, `survivors` holds what is known of those
that no test sees, and `page` writes the figures into the documentation.
"""
