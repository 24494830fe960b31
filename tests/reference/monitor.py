"""Counts `model_monitor` again with DuckDB and numpy, from `order_features`, `order_scores` and the models' references.

    python3 monitor.py OUT_DIR MODELS_DIR

Every index, share and count of orders of every model, period and feature is compared; prints how many, or what differs.
"""

import json
import sys
from bisect import bisect_left
from math import isnan

import duckdb
import numpy


def index(reference, sample):
    """Population stability index with a half added to every bin that either sample holds, and its expectation."""
    r, s = numpy.array(reference, float), numpy.array(sample, float)
    held = r + s > 0
    r, s = r[held], s[held]
    p, q = (r + 0.5) / (r + 0.5).sum(), (s + 0.5) / (s + 0.5).sum()
    return ((q - p) * numpy.log(q / p)).sum(), (len(r) - 1) * (1 / r.sum() + 1 / s.sum())


def counts(binned, values):
    found = [0] * (len(binned["edges"]) + 2)
    for value in values:
        found[-1 if value is None or isnan(value) else bisect_left(binned["edges"], value)] += 1
    return found


def main(out, models):
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    for table in ("order_features", "order_scores", "model_monitor"):
        con.execute(f"create view {table} as from read_parquet('{out}/{table}/**/*.parquet', hive_partitioning = true)")
    compared, wrong = 0, []
    pairs = con.execute("select distinct target, model, role from model_monitor order by all").fetchall()
    for target, model, role in pairs:
        folder = f"{models}/{target}/{model}"
        reference = json.load(open(f"{folder}/reference.json"))
        until = json.load(open(f"{folder}/metrics.json"))["calibrate"]["to"]
        binned = {one["name"]: one for one in reference["features"]} | {"score": reference["score"]}
        names = [one["name"] for one in reference["features"]]
        columns = ", ".join(f'f."{name}"' for name in names)
        score = f"{target}_probability" if role == "champion" else f"{target}_challenger_probability"
        orders = con.execute(
            f"""select s.placed_date, s.{score} as score, s.{target}_flag as flag, s.action, {columns}
                from order_features f join order_scores s using (order_id)
                where f.placed_at > timestamptz '{until}'"""
        ).fetch_df()
        weeks = orders["placed_date"] - orders["placed_date"].dt.dayofweek * numpy.timedelta64(1, "D")
        rows = con.execute(
            """select grain, period_start, feature, scored, psi, psi_expected, psi_tested, missing_share, flagged, acted
               from model_monitor where target = ? and model = ? and role = ?""",
            [target, model, role],
        ).fetchall()
        for grain, start, feature, scored, psi, expected, tested, missing, flagged, acted in rows:
            part = orders if grain == "all" else orders[weeks == numpy.datetime64(start)]
            values = part[feature].tolist()
            one = binned[feature]
            sample = counts(one, values)
            against = {"psi_tested": (tested, index(one["tested"], sample)[0])}
            learnt = sum(one["learnt"])
            if learnt and one["learnt"][-1] < learnt:
                again = index(one["learnt"], sample)
                against |= {"psi": (psi, again[0]), "psi_expected": (expected, again[1])}
            elif learnt:
                against = {}
            against["scored"] = (scored, len(part))
            against["missing_share"] = (missing, sample[-1] / len(part))
            if feature == "score" and role == "champion":
                against["flagged"] = (flagged, int(part["flag"].sum()))
                if target == "fraud":
                    against["acted"] = (acted, int((part["action"] != "approve").sum()))
            for what, (ours, theirs) in against.items():
                compared += 1
                if ours is None or abs(ours - theirs) > 1e-9:
                    wrong.append(f"{target} {role} {grain} {start} {feature}: {what} is {ours}, counted again {theirs}")
    print("\n".join(wrong[:20]))
    print(f"{compared} numbers, {len(wrong)} differ")
    return 1 if wrong or compared == 0 else 0


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    sys.exit(main(sys.argv[1], sys.argv[2]))
