"""Clara workflows on Apache Airflow. Each sub-package is a room of docs/architecture.md; arrows point downwards only."""
