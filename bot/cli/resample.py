"""``argonaut data resample``: longer bars from those in the catalog."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.catalog import Catalog, interval_ns_of, interval_of
from adapters.errors import CatalogError
from adapters.ingest.importer import Origin, bar_type_of, store_bars
from adapters.ingest.naming import parse_interval
from adapters.ingest.resample import resample as resample_bars
from adapters.instruments import spec_of
from adapters.playback import instrument_id_of
from bot.cli.console import DEFAULT_STATE_DIR, JsonOption, StateDirOption, emit_json, note
from bot.exit_codes import ExitCode


def resample(
    interval: Annotated[str, typer.Option("--interval", help="Length wanted, for example 1-HOUR.")],
    catalog: Annotated[
        Path, typer.Option("--catalog", envvar="ARGONAUT_CATALOG", help="Directory of the catalog.")
    ] = Path("catalog"),
    bar_type: Annotated[
        list[str] | None, typer.Option("--bar-type", help="Only this series; may be given several times.")
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateDirOption = DEFAULT_STATE_DIR,
) -> ExitCode:
    """Make longer bars of the series that divide them; run it again when the series have grown.

    Examples:
      argonaut data resample --interval 1-HOUR

    Exit codes: 0 done or already there; 65 no series divides the interval, or the catalog is damaged.
    """
    opened = Catalog(catalog)
    wanted = parse_interval(interval)
    results = []
    for name in bar_type or opened.bar_types():
        longer_name = bar_type_of(instrument_id_of(name), wanted)
        from_ns, to_ns = interval_ns_of(name), interval_ns_of(longer_name)
        if from_ns >= to_ns or to_ns % from_ns:
            continue
        provenance = opened.provenance(name) or {}
        origin = Origin(
            vendor=f"{provenance.get('vendor', '')} ({interval_of(name)})".strip(),
            adjustment=provenance.get("adjustment", "none"),
        )
        longer = resample_bars(opened.read_columns(name), from_ns, to_ns)
        spec = spec_of(opened.instrument(instrument_id_of(name)))
        result = store_bars(catalog, spec, longer_name, longer, origin)
        note(f"{longer_name}: {result.status.value.replace('_', ' ')}, {len(longer):,} bars")
        results.append({"bar_type": longer_name, "status": result.status.value, "rows": len(longer)})
    if not results:
        raise CatalogError(
            f"{catalog}: expected series that divide {wanted}, found "
            f"{', '.join(opened.bar_types()) or 'none'}; import shorter bars first"
        )
    if as_json:
        emit_json({"catalog": str(catalog), "series": results})
    return ExitCode.OK
