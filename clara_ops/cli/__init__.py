"""`clara-wf`: workflows from the command line, with the commands, aliases and arguments of 2019."""
