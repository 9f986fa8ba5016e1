"""A small part of the Kubernetes Pod API for one machine: pods become local processes. Production is Kubernetes.

It serves what Airflow's KubernetesPodOperator calls, and means by it what Kubernetes means (`tests/kube` runs one suite
against both). What it is not: a container engine. A container sees the host's files, network, processes and user; its
mounts are real, its image is an entry of the image map. Refused with a 422 where a pod asks for it: restart policies
other than Never, probes, lifecycle hooks, side-car init containers, volumes other than claims, emptyDir, ConfigMaps and
Secrets. Taken and not acted on: users and capabilities of security contexts, node selection, service accounts,
priority, size limits of volumes, live updates of mounted ConfigMaps.
"""
