"""A person decides whether the results of a run are delivered. The task waits in the database: it costs no worker."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import conf
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.timezone import utcnow

from clara_ops.contract.states import RunState
from clara_ops.dag.errors import NotReviewed, ServiceUnavailable
from clara_ops.dag.listener import Listener
from clara_ops.dag.prepare import payload_of
from clara_ops.workflow.model import Review
from clara_ops.workflow.workflow import Workflow

APPROVE, REJECT = "Approve", "Reject"
_ON_TIMEOUT = {"approve": APPROVE, "reject": REJECT, "fail": None}
_LONGEST_COMMENT = 500
_LONGEST_FINDING = 200
_MOST_FINDINGS = 100
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~!])")


class ReviewOperator(HITLOperator):  # type: ignore[misc]  # the provider is not typed
    """Shows a person what the stages found, and answers `{approved, words}`, on which `deliver` acts.

    The listener knows that the run waits. What is shown is data, and is never rendered as a template.
    """

    def __init__(self, *, workflow: Workflow, review: Review, **kwargs: Any) -> None:
        super().__init__(
            subject=f"Deliver the results of {workflow.name}?",
            options=[APPROVE, REJECT],
            defaults=_ON_TIMEOUT[review.on_timeout],
            response_timeout=timedelta(seconds=review.time_limit),
            **{**kwargs, "params": {"comment": _comment()}},  # Airflow has put the DAG's params there
        )
        self.workflow = workflow
        self.review = review

    def execute(self, context: Context) -> None:
        """Ask, and wait for the answer outside of this process."""
        run_id, listener = payload_of(context), Listener.connect()
        self.body = "\n".join(self._request(context, listener))
        until = utcnow() + timedelta(seconds=self.review.time_limit)
        listener.report(run_id, RunState.IN_REVIEW, f"waits for a person's review until {until:%Y-%m-%dT%H:%M:%SZ}")
        super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """The answer, or that there was none.

        Raises:
            NotReviewed: nobody answered, and that fails the run; the listener is told.
        """
        nobody = f"nobody reviewed it within {self.review.time_limit} s"
        if event.get("error_type") == "timeout":
            self._tell_failure(payload_of(context), nobody)
            raise NotReviewed(nobody)
        answer = super().execute_complete(context, event)
        approved = answer["chosen_options"] == [APPROVE]
        user = answer["responded_by_user"]
        who = f"by {user['name']}" if user else f"since {nobody}"
        comment = " ".join(str((answer["params_input"] or {}).get("comment") or "").split())[:_LONGEST_COMMENT]
        words = f"{'approved' if approved else 'rejected'} {who}{f': {comment}' if comment else ''}"
        self.log.info("%s", words)
        return {"approved": approved, "words": words}

    def _tell_failure(self, run_id: str, reason: str) -> None:
        """A listener that is down learns from Airflow that the task failed: asking the person again would be worse."""
        try:
            Listener.connect().report(run_id, RunState.FAILED, reason)
        except ServiceUnavailable as error:
            self.log.warning("the listener was not told: %s", error)

    def _request(self, context: Context, listener: Listener) -> Iterator[str]:
        """What is needed to decide, as Markdown."""
        run_id, url = context["run_id"], conf.get("api", "base_url", fallback="")
        yield f"{_plain(self.review.question)}\n"
        yield f"Run [{run_id}]({url.rstrip('/')}/dags/{self.workflow.name}/runs/{run_id}): stages, logs and results.\n"
        rows: list[str] = []
        for stage in self.workflow.stages:
            rows += _findings(stage.name, listener.result(run_id, stage.output) or {})
        if rows:
            yield from ("| stage | finding | value |", "| --- | --- | --- |", *rows[:_MOST_FINDINGS])
        else:
            yield "No stage wrote findings."
        if len(rows) > _MOST_FINDINGS:
            yield f"\n{len(rows) - _MOST_FINDINGS} more findings stand in the payload."


def _comment() -> Param:
    return Param(
        "",
        type=["string", "null"],
        maxLength=_LONGEST_COMMENT,
        title="Comment",
        description="Stands in the run's reason: name no patient.",
        source="task",
    )


def _findings(stage: str, result: Mapping[str, Any]) -> Iterator[str]:
    if result.get("reason"):
        yield f"| {stage} | | {_plain(result['reason'])} |"
    facts = result.get("facts")
    for name, value in facts.items() if isinstance(facts, dict) else ():
        yield f"| {stage} | {_plain(name)} | {_plain(value)} |"


def _plain(value: object) -> str:
    """A value as one line of Markdown that means nothing but itself."""
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return _MARKDOWN.sub(r"\\\1", " ".join(text[:_LONGEST_FINDING].split()))
