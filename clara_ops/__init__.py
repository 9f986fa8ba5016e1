"""Clara workflows on Apache Airflow. Each sub-package is a room of docs/architecture.md; arrows point down."""

__version__ = "0.1.0"
