"""`python -m agent` is `gesture-agent`."""

from agent.cli import main

main()
