"""What a state directory holds after a while: backtests, whole and not, one of them large, and a model."""

import csv
import hashlib
import json
import shutil
from pathlib import Path

from ops.artifacts import MANIFEST, write_run
from ops.model_store import ModelStore
from strategies.bundle import open_bundle
from tests.support.data import ROOT
from tests.support.runs import example_run

MANY = 50_000
FIRST, SECOND, CROWDED, PARTIAL, DAMAGED = "example-1-400", "example-2-400", "crowded", "partial", "damaged"


def write_recorded(state_dir: Path) -> None:
    """Write all of it."""
    runs = state_dir / "runs"
    for seed in (1, 2):
        write_run(runs, example_run(400, seed))
    for name in (CROWDED, PARTIAL, DAMAGED):
        shutil.copytree(runs / FIRST, runs / name)
    crowd(runs / CROWDED)
    (runs / PARTIAL / "equity.parquet").unlink()
    (runs / DAMAGED / "metrics.json").write_text("{")
    store = ModelStore(state_dir)
    bundle = store.add(open_bundle(ROOT / "configs" / "bundles" / "ppo_hmm_demo"))
    store.promote(bundle.name, bundle.bundle_id)


def crowd(run: Path) -> None:
    """Give a run so many round trips: those that it has, over and over, each with another profit."""
    with (run / "trades.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    with (run / "trades.csv").open("w", newline="") as file:
        out = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        out.writeheader()
        for number in range(MANY):
            row = rows[number % len(rows)]
            moved = {name: int(row[name]) + number * 60_000_000_000 for name in ("entry_ts", "exit_ts")}
            # Every third is won.
            out.writerow(row | moved | {"net_pnl": number + 0.5 if number % 3 == 0 else -number - 0.5})
    manifest = json.loads((run / MANIFEST).read_bytes())
    manifest["trades.csv"] = hashlib.sha256((run / "trades.csv").read_bytes()).hexdigest()
    (run / MANIFEST).write_text(json.dumps(manifest))
