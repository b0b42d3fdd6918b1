"""Sums over parties that no one of them sees."""
