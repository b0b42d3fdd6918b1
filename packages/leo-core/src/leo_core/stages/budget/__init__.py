"""Budgets of tenants, users and sessions: which apply to a request, and what they leave room for."""
