"""Personal data in texts: found, counted, refused or covered."""
