"""`qbert4rec push`: a folder becomes a repository of the Hub."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..hub_files.plan import UploadPlan

HELP = "Upload a model, domain or feature folder to the Hugging Face Hub: what changed, no pickles."
EXAMPLE = """
qbert4rec push demo/run/model --repo-id OWNER/weekend --dry-run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="FOLDER", help="model, domain or feature folder")
    parser.add_argument(
        "--repo-id", required=True, metavar="OWNER/NAME", help="repository; made if it is not there"
    )
    parser.add_argument(
        "--repo-type",
        choices=("model", "dataset"),
        help="kind of repository; follows from the folder (domains and features are datasets)",
    )
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--revision", metavar="BRANCH", help="branch; made if it is not there")
    parser.add_argument(
        "--create-pr", action="store_true", help="open a pull request against the main branch"
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="list what would be uploaded; needs no token"
    )
    parser.add_argument("--message", metavar="TEXT", help="first line of the commit")


def run(arguments: argparse.Namespace) -> None:
    from huggingface_hub.utils import disable_progress_bars

    from ..hub.push import plan_push
    from ..hub_files.upload import upload

    if arguments.quiet:
        disable_progress_bars()
    plan = plan_push(
        arguments.folder,
        arguments.repo_id,
        repo_type=arguments.repo_type,
        revision=arguments.revision,
        must_compare=not arguments.dry_run,
    )
    if arguments.dry_run:
        _show(plan)
        return
    # The token comes from `hf auth login` or HF_TOKEN: on a command line others could read it.
    done = upload(
        plan,
        private=arguments.private or None,
        create_pr=arguments.create_pr,
        message=arguments.message,
    )
    if done.nothing_changed:
        print(f"nothing changed: {done.url}")
        return
    parts = [f"{len(plan.changed)} files uploaded ({size_in_words(plan.size)})"]
    parts += [f"{len(plan.unchanged)} unchanged"] if plan.unchanged else []
    parts += [f"{len(plan.deleted)} of an older version deleted"] if plan.deleted else []
    print(f"{', '.join(parts)}: {done.url}")


def _show(plan: UploadPlan) -> None:
    """Prints what an upload would do."""
    where = f"{plan.repo_type} repository {plan.repo_id}"
    if plan.unknown:
        print(f"The {where} could not be compared with: {plan.unknown}")
    elif plan.parent is None:
        print(f"The {where} is new, or you may not see it.")
    for file in plan.changed:
        print(f"  upload     {size_in_words(file.size):>9s}  {file.path}")
    for file in plan.unchanged:
        print(f"  unchanged  {size_in_words(file.size):>9s}  {file.path}")
    for path in plan.deleted:
        print(f"  delete     {'':9s}  {path}")
    for path, reason in plan.left_out.items():
        print(f"  leave out  {'':9s}  {path} ({reason})")
    if plan.changed or plan.deleted:
        print(f"would upload {len(plan.changed)} files, {size_in_words(plan.size)}, to the {where}")
    else:
        print(f"nothing changed in the {where}")


def size_in_words(size: int) -> str:
    """Bytes to read, such as "1.5 MB"."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
