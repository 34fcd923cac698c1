"""The flags of both scripts, and which of them mean nothing together."""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import NoReturn

from cli import history
from cli.display.choice import Wishes, choose_displays
from cli.display.plain import SteadyStream, Taste, Verbosity
from cli.slips import UNSET, given, given_list, given_path, is_same_file, meant
from hand_edits.statuses import Phase
from model.errors import BAD_ARGUMENTS, SettingsError
from model.rates import MaxRate, parse_rate
from model.refresh import REFRESHES, SWITCH_SCOPES
from model.settings_table import SETTINGS
from model.utf8 import as_utf8
from model.version import __version__
from operations.recorder import Recorder
from operations.report import FILE as REPORT
from operations.report import write_report
from operations.run_result import FILE, keep
from progress import DEFAULT_FILES
from run.display import line_of
from run.options import Options


class ScriptParser(argparse.ArgumentParser):
    """A parser of a script's arguments; what it refuses stands in `runs.jsonl` where runs of the script are kept."""

    def __init__(self, description: str | None, examples: str, phase: Phase) -> None:
        super().__init__(
            description=description, epilog=examples, formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )  # fmt: skip
        self._phase = phase

    def parse(self) -> argparse.Namespace:
        """The process's arguments; of those that no flag takes it is said what was probably meant."""
        arguments, extras = self.parse_known_args()
        if extras:
            self.error(meant(extras, self._option_string_actions))
        return arguments

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and end with exit code 2: with the usage on a terminal, as a line of a log elsewhere."""
        if message.endswith("expected one argument"):
            message += f", and none follows. {UNSET}"
        recorder = Recorder(self.prog, sys.argv[1:])
        folder = _named_folder(sys.argv) or Path(DEFAULT_FILES[self._phase]).parent
        # A mistyped command in some other folder leaves nothing behind.
        if (folder / FILE).exists() or (folder / DEFAULT_FILES[self._phase]).exists():
            result = recorder.ended(BAD_ARGUMENTS, message)
            with contextlib.suppress(OSError):
                keep(result, folder)
            # What is missing for it is told by the next run that gets further.
            with contextlib.suppress(Exception):
                write_report(result, folder)
        if SteadyStream(sys.stderr).isatty():
            super().error(message)
        is_json = _value_of(sys.argv, "--log-format") == "json"
        wishes = Wishes(Taste(has_emoji="--no-emoji" not in sys.argv), log_format="json" if is_json else "text")
        words = f"❌ {message.rstrip('.')}{'' if message.endswith('?') else '.'} Nothing was done; --help says more."
        choose_displays(wishes, recorder.run).err.tell(replace(line_of(words), event="run ended"))
        self.exit(BAD_ARGUMENTS)


def _named_folder(words: Sequence[str]) -> Path | None:
    """The folder of the file that --progress-file names, in arguments that cannot be read otherwise."""
    value = _value_of(words, "--progress-file")
    return Path(value).parent if value else None


def _value_of(words: Sequence[str], flag: str) -> str:
    """What follows a flag in arguments that cannot be read otherwise; empty where it is not there."""
    for word, following in zip(words, [*words[1:], ""], strict=True):
        name, equals, value = word.partition("=")
        if name == flag and (value if equals else following):
            return value if equals else following
    return ""


def add_shared_arguments(parser: argparse.ArgumentParser, phase: Phase) -> None:
    """Declare the flags of DESIGN §3."""
    parser.add_argument("--resume", action="store_true", help="continue the last session, skip completed tables")
    parser.add_argument("--new-session", action="store_true", help="begin a new session, as without --resume")
    parser.add_argument(
        "--start-from-table", type=given, metavar="T", help="begin with table T, leave the tables before it alone"
    )
    parser.add_argument("--reset", action="store_true", help="move the progress file aside and exit")
    parser.add_argument("--no-truncate", action="store_true", help=_NO_TRUNCATE[phase])
    parser.add_argument(
        "--tables", type=given_list, action="append", default=[], metavar="GLOB",
        help="only these tables (Orders, Sales.*, *Log); separate several by commas, or repeat the flag",
    )  # fmt: skip
    parser.add_argument(
        "--exclude",
        type=given_list,
        action="append",
        default=[],
        metavar="GLOB",
        help="all but these tables, written the same way",
    )
    parser.add_argument(
        "--env-file",
        type=given_path,
        metavar="FILE",
        help="read the settings from FILE (default: .env here, else beside the script)",
    )
    parser.add_argument(
        "--progress-file",
        type=given_path,
        metavar="FILE",
        help=f"keep the progress in FILE (default: {DEFAULT_FILES[phase]})",
    )
    parser.add_argument(
        "--type-map",
        type=given_path,
        metavar="FILE",
        help="a JSON file that gives types or columns another PostgreSQL type",
    )
    parser.add_argument(
        "--wait", type=minutes, default=0, metavar="MINUTES",
        help="if another run is at work, wait so long for it to end (default: end at once with exit code 4)",
    )  # fmt: skip
    parser.add_argument("--debug", action="store_true", help="show tracebacks of errors")
    parser.add_argument(
        "--status", action="store_true", help="do nothing; show what runs or ran last, and what to do next"
    )
    parser.add_argument(
        "--history", type=positive, nargs="?", const=history.USUAL, metavar="N",
        help=f"do nothing; show the last N runs of both scripts here (default {history.USUAL})",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="with --status and --history: as JSON")
    _add_telling(parser)


def _add_telling(parser: argparse.ArgumentParser) -> None:
    """Declare how a person wants to be told."""
    how_much = parser.add_mutually_exclusive_group()
    how_much.add_argument("-q", "--quiet", action="store_true", help="say only what is wrong, and how it ended")
    how_much.add_argument("-v", "--verbose", action="store_true", help="say every step and every chunk, also in a log")
    parser.add_argument(
        "--log-file",
        type=given_path,
        metavar="FILE",
        help="add what is said to FILE as well, each line with time and run",
    )
    parser.add_argument(
        "--log-format", choices=("text", "json"), default="text",
        help="lines of a log, which is what a pipe, a file and cron get, as text or as JSON objects",
    )  # fmt: skip
    parser.add_argument("--no-emoji", action="store_true", help="words instead of emoji")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")


def add_neighbour_flags(parser: argparse.ArgumentParser) -> None:
    """Declare how a load spares others: its pace, its end, and what it owes the target."""
    parser.add_argument(
        "--max-rate", type=rate, metavar="RATE",
        help="move at most so many rows (50000rows) or so much (20MB) a second, all workers together",
    )  # fmt: skip
    parser.add_argument(
        "--stop-at", type=next_time, metavar="HH:MM",
        help="begin no chunk after this time, end with exit code 5, and leave the rest to --resume",
    )  # fmt: skip
    parser.add_argument(
        "--restore-keys", action="store_true",
        help="copy nothing; bring back the keys, indexes and triggers that a load suspended and that are not back",
    )  # fmt: skip


def add_refresh_flags(parser: argparse.ArgumentParser) -> None:
    """Declare how tables are refreshed that others read."""
    parser.add_argument(
        "--refresh", choices=REFRESHES,
        help="how tables get their new rows: emptied and filled (truncate), by their differences (merge), or replaced "
        "by a twin (swap); default: REFRESH in the settings",
    )  # fmt: skip
    parser.add_argument(
        "--switch", choices=SWITCH_SCOPES,
        help="with merge and swap: show all tables' new rows at once at the end, or each table's when it is ready",
    )  # fmt: skip
    parser.add_argument(
        "--switch-anyway", action="store_true", help="show the tables that are complete although others failed"
    )
    parser.add_argument(
        "--verify-first", action="store_true",
        help="with merge and swap: compare both sides before new rows can be seen; a table that differs is not shown",
    )  # fmt: skip


def add_hiding_flags(parser: argparse.ArgumentParser) -> None:
    """Declare what a person goes on with knowingly."""
    for flag, words in (
        ("--allow-masked", "copy or compare masks where the login lacks UNMASK, as if they were the values"),
        ("--allow-hidden-rows", "copy or compare only the rows that security policies let the login see"),
        ("--allow-encrypted", "copy or compare the ciphertext of Always Encrypted columns"),
    ):
        parser.add_argument(flag, action="store_true", help=words)


def wishes_of(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> Wishes:
    """How a person wants to be told. Ends with argparse's exit code where a log would be written into another file."""
    if arguments.log_file is not None:
        _refuse_other_files(parser, arguments)
    verbosity: Verbosity = "quiet" if arguments.quiet else "verbose" if arguments.verbose else "usual"
    return Wishes(Taste(verbosity, not arguments.no_emoji), arguments.log_file, arguments.log_format)


def _refuse_other_files(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """A log added to the progress file would leave nothing of it that can be read."""
    progress: Path | None = arguments.progress_file
    folder = progress.parent if progress else Path()
    others = [
        progress, arguments.env_file, arguments.type_map, Path(".env"),
        *(folder / name for name in (*DEFAULT_FILES.values(), FILE, REPORT)),
    ]  # fmt: skip
    if any(is_same_file(arguments.log_file, other) for other in others if other is not None):
        parser.error(f"--log-file {arguments.log_file}: a log needs a file of its own, and this one is in use")


def add_cluster_flag(parser: argparse.ArgumentParser) -> None:
    """Declare the flag of a load, or a comparison, on several machines."""
    parser.add_argument(
        "--cluster", type=given, metavar="ADDRESS",
        help="let the workers of a Dask cluster do it: its scheduler's address, as tls://scheduler:8786",
    )  # fmt: skip


_NO_TRUNCATE: dict[Phase, str] = {
    "data": "keep existing rows: with --resume a partial table continues after its last chunk; other tables get the "
    "source's rows added, with a warning",
    "schema": "accepted for symmetry with sync-data.py; this script never empties a table",
}


def positive(text: str) -> int:
    """A whole number from 1 on, for argparse."""
    number = int(text)
    if number < 1:
        raise ValueError(text)
    return number


def workers(text: str) -> int:
    """A number of workers as the setting WORKERS has it, for argparse."""
    kind = SETTINGS["WORKERS"].kind
    try:
        return int(kind.read("WORKERS", given(text)))
    except SettingsError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("WORKERS ")) from None


def rate(text: str) -> MaxRate:
    """A rate, for argparse."""
    try:
        return parse_rate(given(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def next_time(text: str) -> datetime:
    """The next moment at which a local clock shows the time, for argparse."""
    found = re.fullmatch(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?", text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f"must be a time like 06:00, not {text!r}")
    now = datetime.now()
    then = now.replace(hour=int(found[1]), minute=int(found[2]), second=int(found[3] or 0), microsecond=0)
    return then if then > now else then + timedelta(days=1)


def minutes(text: str) -> float:
    """Minutes to wait, whole ones or not, for argparse: a week at most."""
    number = float(given(text))
    if not 0 <= number <= 7 * 24 * 60:
        raise argparse.ArgumentTypeError("must be a number of minutes from 0 to 10080")
    return number


def shared_options(arguments: argparse.Namespace) -> Options:
    """The parsed flags as plain data."""
    return Options(
        resume=arguments.resume,
        no_truncate=arguments.no_truncate,
        start_from_table=as_utf8(arguments.start_from_table) if arguments.start_from_table else None,
        reset=arguments.reset,
        tables=_globs(arguments.tables),
        exclude=_globs(arguments.exclude),
        env_file=arguments.env_file,
        progress_file=arguments.progress_file,
        type_map=arguments.type_map,
        debug=arguments.debug,
        wait_minutes=arguments.wait,
    )


def progress_folder(options: Options, phase: Phase) -> Path:
    """The folder of the run's progress file, where all that a run leaves behind lies."""
    return (options.progress_file or Path(DEFAULT_FILES[phase])).parent


def _globs(values: Sequence[str]) -> tuple[str, ...]:
    return tuple(part.strip() for value in values for part in as_utf8(value).split(",") if part.strip())


def refuse_together(
    parser: argparse.ArgumentParser, arguments: argparse.Namespace, flag: str, others: Sequence[str], why: str
) -> None:
    """End with argparse's exit code where `flag` was given beside one of `others`, beside which it means nothing."""
    if not is_given(arguments, flag):
        return
    given = [other for other in others if is_given(arguments, other)]
    if given:
        parser.error(f"{flag} {why}, so it cannot be combined with {' and '.join(given)}")


#: flags that say where and how, and go with those that only look
BESIDE_LOOKING = frozenset({"progress_file", "env_file", "debug", "json", "quiet", "verbose", "no_emoji"})


def asks_for_history(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> bool:
    """Whether the last runs are asked for. Ends with argparse's exit code where work is asked for as well."""
    return _only_looks(parser, arguments, "history", is_asked=arguments.history is not None)


def asks_for_status(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> bool:
    """Whether the status is asked for. Ends with argparse's exit code where work is asked for as well."""
    if arguments.json and not arguments.status:
        parser.error("--json is for --status and --history")
    return _only_looks(parser, arguments, "status", is_asked=arguments.status)


def _only_looks(parser: argparse.ArgumentParser, arguments: argparse.Namespace, flag: str, *, is_asked: bool) -> bool:
    given = [
        f"--{name.replace('_', '-')}"
        for name, value in vars(arguments).items()
        if name != flag and name not in BESIDE_LOOKING and value != parser.get_default(name)
    ]
    if is_asked and given:
        parser.error(f"--{flag} only shows what was and is, so it cannot be combined with {' and '.join(given)}")
    return is_asked


def is_given(arguments: argparse.Namespace, flag: str) -> bool:
    value = getattr(arguments, flag.removeprefix("--").replace("-", "_"))
    return (bool(value) and value != "fail") or (flag == "--consistent" and value is not None)
