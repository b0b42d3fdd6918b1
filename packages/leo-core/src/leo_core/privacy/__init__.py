"""What must not leave: personal data and secrets in texts."""
