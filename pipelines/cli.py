"""`kept`: the console script. Commands import what they need when they run, so `kept --help` answers at once."""

from __future__ import annotations

import typer

from pipelines.embed import embed
from pipelines.link import link
from pipelines.neighbors import neighbors

app = typer.Typer(
    name="kept",
    help="Knowledge-enhanced pre-training: from an RDF dump to a probed multimodal model.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("embed")(embed)
app.command("link")(link)
app.command("neighbors")(neighbors)


def main() -> None:
    """Run the console script."""
    app()


if __name__ == "__main__":
    main()
