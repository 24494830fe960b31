"""Compares tables of two output folders row for row, to the bit: same_tables.py ONE OTHER TABLE... ; `-COLUMN` leaves one out.

Prints what differs and exits with 1, or the rows compared. How the rows are cut into files makes no difference.
"""
import sys

import duckdb

one, other, *names = sys.argv[1:]
without = {name[1:] for name in names if name.startswith("-")}
differs = False
for table in (name for name in names if not name.startswith("-")):
    db = duckdb.connect()
    for side, folder in (("a", one), ("b", other)):
        db.sql(f"CREATE VIEW {side} AS FROM read_parquet('{folder}/{table}/**/*.parquet', hive_partitioning = true, union_by_name = true)")
    columns = {side: [c[0] for c in db.sql(f"DESCRIBE {side}").fetchall()] for side in "ab"}
    if sorted(columns["a"]) != sorted(columns["b"]):
        print(f"{table}: columns differ: {sorted(set(columns['a']) ^ set(columns['b']))}")
        differs = True
        continue
    shown = ", ".join(f'"{c}"' for c in sorted(columns["a"]) if c not in without)
    # Floats as their own text would hide a last bit; DuckDB prints the shortest text that reads back to the same bits.
    only = [db.sql(f"SELECT COUNT(*) FROM (SELECT {shown} FROM {x} EXCEPT ALL SELECT {shown} FROM {y})").fetchall()[0][0] for x, y in ("ab", "ba")]
    rows = [db.sql(f"SELECT COUNT(*) FROM {x}").fetchall()[0][0] for x in "ab"]
    print(f"{table}: {rows[0]} and {rows[1]} rows, {only[0]} and {only[1]} only on one side")
    if any(only):
        differs = True
        for x, y in ("ab", "ba"):
            print(db.sql(f"SELECT {shown} FROM {x} EXCEPT ALL SELECT {shown} FROM {y} LIMIT 3"))
sys.exit(1 if differs else 0)
