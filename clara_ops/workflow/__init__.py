"""Workflow files: the language, the stage catalogue, and the pod of each stage. Knows no Airflow."""
