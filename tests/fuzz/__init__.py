"""A fuzzer: what strangers may send is mutated without end, and only our own errors may come of it.

    python -m tests.fuzz --seconds 60              # as `make check`, with a seed of its own that it prints
    python -m tests.fuzz --target images --seed 7  # the same inputs again

A failure is an exception outside the documented tree, an answer of 500, an input that takes longer or needs
more memory than the limits, or the end of the process. The input is kept in a file.
"""
