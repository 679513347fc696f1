"""Probing: tasks make items, scorers score every candidate, scores are kept, figures and reports are made from them.

world -> Task.build -> ProbeSet -> evaluate(scorer) -> ScoreStore -> Outcome -> Figure rows -> report
"""
