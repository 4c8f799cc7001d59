"""What the desk and the web share: access, layout, words, numbers, errors and headers. Knows no zone."""
