"""What must not leave: personal data and secrets in texts; scores of vectors that a server cannot read."""
