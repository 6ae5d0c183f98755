"""`python -m gtgateway`."""

from gtgateway.cli import main

main()
