"""Evaluation of the gesture pipeline on labelled photographs and videos."""
