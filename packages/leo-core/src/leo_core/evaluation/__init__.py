"""Measuring LEO: recorded answers, baselines, metrics with intervals, and reports drawn from result files only."""
