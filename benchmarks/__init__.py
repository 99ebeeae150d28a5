"""What we claim about speed, as programs that anyone can run: `make bench`, or `python -m benchmarks`.

Seconds depend on the machine and on what else it does, so every claim is a ratio of two things that
were measured in turn, in one run, with the same number of threads.
"""
