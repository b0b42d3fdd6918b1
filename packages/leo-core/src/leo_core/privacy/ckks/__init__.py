"""Scores under encryption: CKKS by SEAL and by our own kernel."""
