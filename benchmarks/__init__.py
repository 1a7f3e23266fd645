"""Where the README's figures come from: our worker beside its peers, in one run.

`python -m benchmarks broadcast` and `python -m benchmarks connect`; docs/benchmarks.md says what
is measured, how, and what is not. Linux only: the accounting and the clients use what it offers.
"""
