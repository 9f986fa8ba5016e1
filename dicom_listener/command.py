"""`dicom-listener`: serve, check-config, echo, status, pause, resume, repair, replay."""

import argparse
import json
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

from clara_ops.contract import environment
from clara_ops.contract.errors import ClaraError
from dicom_listener.airflow_client import AirflowClient
from dicom_listener.config import Config, Destination
from dicom_listener.config_file import load_config
from dicom_listener.errors import DeliveryRefused, DeliveryRetry, ListenerError
from dicom_listener.journal import Journal
from dicom_listener.live_config import LiveConfig
from dicom_listener.log import configure_logging
from dicom_listener.remote import pause, print_status, resume
from dicom_listener.repair import examine
from dicom_listener.replay import as_dict, describe, open_journal, replay
from dicom_listener.scu import echo
from dicom_listener.service import Places, Service

_EXIT_DEAD = 70
_SECONDS = {"m": 60, "h": 3600, "d": 86400}
_REPLAY_EXAMPLE = (
    "example: dicom-listener replay --since 7d --config new.yaml --data /data --journal /journal/journal.db"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; answers the exit status."""
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except ClaraError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dicom-listener", description="The DICOM adapter of Clara workflows.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    serve = commands.add_parser("serve", help="receive, store, trigger, deliver; until SIGTERM")
    _add_config(serve)
    serve.add_argument("--data", type=Path, required=True, help="folder of claim clara-data: spool and payloads")
    serve.add_argument("--journal", type=Path, required=True, help="the journal's file; made when it is not there")
    serve.add_argument("--ready-file", type=Path, help="written as JSON {dicom_port, api_url, pid} once both listen")
    serve.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    serve.set_defaults(run=_serve)

    check = commands.add_parser("check-config", help="check the file, then try Airflow and every destination")
    _add_config(check)
    check.add_argument("--offline", action="store_true", help="the file only")
    check.set_defaults(run=_check_config)

    echoing = commands.add_parser("echo", help="C-ECHO to destinations of the configuration")
    _add_config(echoing)
    echoing.add_argument("destination", nargs="*", help="names; all of them when none is given")
    echoing.set_defaults(run=_echo)

    status = commands.add_parser("status", help="series and runs of a running listener")
    _add_api_url(status)
    status.add_argument("--limit", type=int, default=20)
    status.set_defaults(run=lambda options: print_status(options.api_url, options.limit))

    pausing = commands.add_parser("pause", help="for maintenance: go on receiving, trigger and deliver nothing")
    _add_api_url(pausing)
    pausing.add_argument("--reason", default="", help="shown to whoever looks meanwhile")
    pausing.set_defaults(run=lambda options: pause(options.api_url, options.reason))

    resuming = commands.add_parser("resume", help="trigger and deliver again, what has waited first")
    _add_api_url(resuming)
    resuming.set_defaults(run=lambda options: resume(options.api_url))

    repairing = commands.add_parser(
        "repair", help="prove that journal and disk agree, and mend them; the listener has to be stopped"
    )
    repairing.add_argument("--data", type=Path, required=True, help="folder of claim clara-data")
    repairing.add_argument("--journal", type=Path, required=True, help="the journal's file")
    repairing.add_argument("--check", action="store_true", help="tell what is wrong, and change nothing")
    repairing.set_defaults(run=_repair)

    replaying = commands.add_parser(
        "replay", help="what another configuration would have started, from what was received", epilog=_REPLAY_EXAMPLE
    )
    _add_config(replaying)
    replaying.add_argument("--data", type=Path, required=True, help="folder of claim clara-data")
    replaying.add_argument("--journal", type=Path, required=True, help="the journal's file; it is only read")
    replaying.add_argument("--since", type=_age, default="7d", help="how far back: 90m, 12h, 7d (default)")
    replaying.add_argument("--all", action="store_true", help="show what would be the same, too")
    replaying.add_argument("--json", action="store_true", help="a JSON object a line")
    replaying.set_defaults(run=_replay)
    return parser


def _add_api_url(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--api-url",
        default="http://127.0.0.1:8104",
        help=f"of the running listener (default: %(default)s); its token stands in {environment.LISTENER_TOKEN}",
    )


def _age(text: str) -> float:
    """Seconds of an age such as 7d."""
    number, unit = text[:-1], text[-1:]
    if not number.isdigit() or unit not in _SECONDS:
        raise argparse.ArgumentTypeError(f"{text!r} is no age: expected a number and m, h or d, for example 7d")
    return float(number) * _SECONDS[unit]


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", type=Path, required=True, help="dicom-server-config.yaml")


def _serve(options: argparse.Namespace) -> int:
    configure_logging(options.log_level)
    live = LiveConfig(options.config)
    service = Service(live, Places(options.data, options.journal, options.ready_file))
    signal.signal(signal.SIGTERM, lambda *_: service.request_stop())
    signal.signal(signal.SIGINT, lambda *_: service.request_stop())
    signal.signal(signal.SIGHUP, lambda *_: live.reload())
    try:
        service.start()
        return 0 if service.wait() else _EXIT_DEAD
    finally:
        service.close()


def _check_config(options: argparse.Namespace) -> int:
    config = load_config(options.config)
    print(f"ok      {options.config}")
    if options.offline:
        return 0
    client = AirflowClient(config.services.platform_endpoint, config.clara.airflow)
    checks: list[tuple[str, Callable[[], object]]] = [(f"Airflow {config.services.platform_endpoint}", client.check)]
    checks += [(f"workflow {item.name}", partial(client.find_dag, item.workflow)) for item in config.workflows]
    checks += [_echo_check(config, destination) for destination in config.dicom.scu.destinations]
    return _report(checks)


def _echo(options: argparse.Namespace) -> int:
    config = load_config(options.config)
    names = options.destination or [destination.name for destination in config.dicom.scu.destinations]
    checks = []
    for name in names:
        destination = config.destination(name)
        if destination is None:
            raise ListenerError(f"{options.config}: dicom.scu.destinations has no {name!r}")
        checks.append(_echo_check(config, destination))
    return _report(checks)


def _echo_check(config: Config, destination: Destination) -> tuple[str, Callable[[], object]]:
    return f"destination {destination.name}", partial(echo, config.dicom.scu.ae_title, destination)


def _report(checks: Sequence[tuple[str, Callable[[], object]]]) -> int:
    failed = 0
    for name, check in checks:
        try:
            found = check()
        except (ListenerError, DeliveryRetry, DeliveryRefused) as error:
            failed += 1
            print(f"FAILED  {name}: {error}")
        else:
            print(f"ok      {name}{f': {found}' if found else ''}")
    return 1 if failed else 0


def _repair(options: argparse.Namespace) -> int:
    if not options.journal.is_file():
        raise ListenerError(f"{options.journal}: there is no journal")
    found = left = 0
    with closing(Journal(options.journal)) as journal:
        for finding in examine(journal, options.data, mend=not options.check):
            found += 1
            left += not finding.mended
            where = f"series {finding.series_uid}, " if finding.series_uid else ""
            print(f"{where}spool/{finding.path}: {finding.problem}{finding.mended and f'; {finding.mended}'}")
    print("journal and disk agree" if not found else f"{found} found, {found - left} mended")
    return 1 if left else 0


def _replay(options: argparse.Namespace) -> int:
    config = load_config(options.config)
    with closing(open_journal(options.journal)) as database:
        replayed = list(replay(database, options.data / "spool", config, time.time() - options.since))
    for item in replayed:
        if options.all or item.differs:
            print(json.dumps(as_dict(item)) if options.json else describe(item))
    if not options.json:
        different = sum(item.differs for item in replayed)
        print(f"{len(replayed)} groups in this time, {different} of them would have ended otherwise")
    return 0
