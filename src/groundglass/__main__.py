"""`python -m groundglass`."""

from groundglass.cli import main

main()
