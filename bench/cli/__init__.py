"""The command line. Nothing heavy is imported before a command needs it."""

from __future__ import annotations

import io
import logging
import sys
from typing import Any

import click

from bench import plugins
from bench.cli import look, results, running, validating
from bench.errors import BenchError

log = logging.getLogger("bench")


class _Group(click.Group):
    """Turns a user's mistake into one line and exit code 2."""

    def main(self, *args: Any, **extra: Any) -> Any:
        for stream in (sys.stdout, sys.stderr):  # a terminal that knows ASCII alone
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")
        return super().main(*args, **extra)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BenchError as error:
            _stop(ctx, str(error), 2)
        except click.exceptions.NoArgsIsHelpError:
            raise
        except click.UsageError as error:
            where = error.ctx.command_path if error.ctx else "bench"
            _stop(ctx, f"{error.format_message()} (see {where} --help)", 2)
        except BrokenPipeError:  # as in `bench list | head`; click ends the program
            raise
        except OSError as error:
            _stop(ctx, f"{error.strerror or error}: {error.filename or 'no file named'}", 2)
        except KeyboardInterrupt:
            _stop(ctx, "stopped; finished fits and rows are kept, and the same command again "
                  "makes the rest", 130)  # fmt: skip
        finally:
            for path, reason in plugins.problems().items():
                click.echo(f"bench: left out {path}: {reason}", err=True)


def _stop(ctx: click.Context, message: str, code: int) -> None:
    log.debug("stopped", exc_info=True)
    click.echo(f"bench: {' '.join(message.split())}", err=True)  # a name may hold line breaks
    ctx.exit(code)


def _version(ctx: click.Context, option: click.Parameter, on: bool) -> None:
    if on:
        click.echo(f"bench {look.version()}")
        ctx.exit()


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version,
              help="Print the version.")  # fmt: skip
def main() -> None:
    """Measure how well neural networks know what they don't know."""


for command in (*running.COMMANDS, *results.COMMANDS, *validating.COMMANDS, *look.COMMANDS):
    main.add_command(command)
