"""Order of stages: any graph of locks gives exactly its edges, or is refused with a ring that is really there."""

from itertools import pairwise
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clara_ops.workflow.catalogue import Catalogue
from clara_ops.workflow.errors import WorkflowFileError
from clara_ops.workflow.loading import load_workflows
from clara_ops.workflow.order import earlier, find_cycle, running_order

Graph = dict[str, tuple[str, ...]]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    names = [f"s{index}" for index in range(draw(st.integers(1, 6)))]
    return {name: tuple(draw(st.lists(st.sampled_from(names), unique=True, max_size=3))) for name in names}


def reach_by_force(graph: Graph) -> dict[str, set[str]]:
    """Transitive closure by repetition, the plain way."""
    reach = {name: set(after) for name, after in graph.items()}
    for _ in graph:
        for found in reach.values():
            found |= {far for near in found for far in reach[near]}
    return reach


@given(graphs())
def test_a_ring_is_found_exactly_where_there_is_one(graph: Graph) -> None:
    ring = find_cycle(graph)
    reach = reach_by_force(graph)
    assert (ring is not None) == any(name in reach[name] for name in graph)
    if ring is not None:
        assert ring[0] == ring[-1]
        assert all(later in graph[name] for name, later in pairwise(ring))
        assert len(set(ring[1:])) == len(ring) - 1


@given(graphs())
def test_without_a_ring_stages_run_after_those_they_wait_for(graph: Graph) -> None:
    if find_cycle(graph) is not None:
        return
    order = running_order(graph)
    assert sorted(order) == sorted(graph)
    assert all(order.index(other) < order.index(name) for name, after in graph.items() for other in after)
    assert {name: set(earlier(name, graph)) for name in graph} == reach_by_force(graph)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(graphs())
def test_a_workflow_has_exactly_the_edges_of_its_graph(tmp_path: Path, catalogue: Catalogue, graph: Graph) -> None:
    stages = "".join(
        f"  - {{stage: dicom-reader, name: {name}, after: [{', '.join(after)}], input: dicom/input}}\n"
        for name, after in graph.items()
    )
    path = tmp_path / "w.yaml"
    path.write_text(f"id: 00000000-0000-4000-8000-000000000000\nname: w\nstages:\n{stages}")
    try:
        (workflow,) = load_workflows(path, catalogue)
    except WorkflowFileError as error:
        ring = find_cycle(graph)
        assert ring is not None
        assert " -> ".join(ring) in str(error)
        return
    assert find_cycle(graph) is None
    assert {stage.name: set(stage.after) for stage in workflow.stages} == {k: set(v) for k, v in graph.items()}
    for stage in workflow.stages:
        assert workflow.before(stage.name) == reach_by_force(graph)[stage.name]
