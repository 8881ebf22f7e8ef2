"""The sample corpus: hand-written sources with slots, a seed that fills them, writers for five formats, questions.

`make_sample_corpus.py` beside this package runs it. It is no part of the `workbench` package and is never installed.
"""
