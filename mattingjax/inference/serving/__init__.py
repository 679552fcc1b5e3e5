"""Mattes over HTTP: `mattingjax serve`, and the page that it shows."""
