"""Counts the rows of every published table with DuckDB, over and over, while something writes: polling.py OUT STOP

OUT is an output folder, STOP a file whose coming ends it. A query that fails is an error, and so is a count of `GROWS` that
goes down. Prints one JSON object: answers, errors (the first few), and the tables whose counts went down.
"""
import glob
import json
import os
import sys

import duckdb

out, stop = sys.argv[1:]
# Nothing is ever taken from these; the others tell of what is open now. A row that waits for its order leaves quarantine when
# it comes.
GROWS = {"order_scores", "order_features", "runs", "late_rows"}
answers, errors, seen, fell = 0, [], {}, {}
parent, last = os.getppid(), False
while not last:
    # Once more after the end, so that the end is seen too. Whoever started this and is gone will never write that file.
    last = os.path.exists(stop) or os.getppid() != parent
    for folder in sorted(glob.glob(f"{out}/*/")):
        table = os.path.basename(folder.rstrip("/"))
        if table.startswith(("_", ".")):
            continue
        if not glob.glob(f"{folder}**/*.parquet", recursive=True):
            continue
        try:
            sql = f"SELECT COUNT(*) FROM read_parquet('{folder}**/*.parquet', hive_partitioning = true, union_by_name = true)"
            rows = duckdb.connect().sql(sql).fetchall()[0][0]
        except Exception as error:
            errors.append(f"{table}: {error}")
            continue
        answers += 1
        if rows < seen.get(table, 0):
            fell[table] = fell.get(table, 0) + 1
        seen[table] = rows
shrank = sorted(GROWS & set(fell))
print(json.dumps({"answers": answers, "errors": errors[:5], "fell": fell, "shrank": shrank, "rows": seen}))
sys.exit(1 if errors or shrank else 0)
