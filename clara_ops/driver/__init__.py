"""The Workflow Driver: what runs inside a stage container around the stage's own work. Standard library only."""
