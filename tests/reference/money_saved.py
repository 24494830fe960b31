"""Money saved by policy, worked out again by DuckDB from the orders tested, against the published `money_saved`.

    python money_saved.py OUT REVIEW_COST CHARGEBACK_FEE MARGIN_SHARE LOOKS_PER_DAY        (costs in minor units)
"""

import sys

import duckdb

out, review, fee, margin, k = sys.argv[1], *map(float, sys.argv[2:6])
db = duckdb.connect()
db.execute(f"""
CREATE VIEW tested AS SELECT placed_date AS day, order_id, amount::DOUBLE AS amount, probability AS p, positive AS fraud,
       rule_effect AS rule FROM read_parquet('{out}/evaluation/scores/target=fraud/*.parquet');
CREATE VIEW costed AS SELECT *, p * (amount + {fee}) AS loss, (1 - p) * amount * {margin} AS refused FROM tested;
CREATE VIEW modelled AS SELECT *,
  CASE WHEN loss <= {review} THEN 0 WHEN loss > refused + {review} THEN 2 ELSE 1 END AS by_model FROM costed;
-- 0 pass, 1 review, 2 hold
CREATE VIEW acted AS
SELECT 'model' AS policy, *, by_model AS action, false AS ruled, round(loss - {review}) AS priority FROM modelled
UNION ALL
SELECT 'rules', *, CASE rule WHEN 'hold' THEN 2 WHEN 'review' THEN 1 ELSE 0 END, true, amount FROM modelled
UNION ALL
SELECT 'rules_and_model', *,
  CASE rule WHEN 'approve' THEN 0 WHEN 'hold' THEN 2 WHEN 'review' THEN greatest(by_model, 1) ELSE by_model END,
  rule IS NOT NULL, round(loss - {review}) FROM modelled;
CREATE VIEW ranked AS SELECT *, row_number() OVER (PARTITION BY policy, day ORDER BY action DESC, ruled DESC, priority DESC,
  order_id) AS place FROM acted WHERE action > 0;
-- As DOUBLE: of the literals alone the columns would be DECIMAL(2, 1), and the chances of a draw rounded to tenths.
CREATE TABLE fates AS
SELECT policy, day, order_id, amount, fraud, (place <= {k})::INT::DOUBLE AS looked,
       (place > {k} AND action = 2)::INT::DOUBLE AS held FROM ranked;
CREATE TABLE days AS SELECT day, count(*) AS n, least(count(*), {k}) AS most,
  coalesce((SELECT sum(looked) FROM fates f WHERE f.policy = 'rules_and_model' AND f.day = t.day), 0) AS looks
  FROM tested t GROUP BY day;
CREATE TABLE largest AS SELECT *, row_number() OVER (PARTITION BY day ORDER BY amount DESC, order_id) AS place FROM tested;
INSERT INTO fates
SELECT 'none', day, order_id, amount, fraud, 0.0, 0.0 FROM tested
UNION ALL SELECT 'random', day, order_id, amount, fraud, looks / n, 0.0 FROM tested JOIN days USING (day)
UNION ALL SELECT 'random_at_capacity', day, order_id, amount, fraud, most / n, 0.0 FROM tested JOIN days USING (day)
UNION ALL SELECT 'largest_first', day, order_id, amount, fraud, CASE WHEN place <= looks THEN 1.0 ELSE 0.0 END, 0.0
  FROM largest JOIN days USING (day)
UNION ALL SELECT 'largest_first_at_capacity', day, order_id, amount, fraud, CASE WHEN place <= most THEN 1.0 ELSE 0.0 END,
  0.0 FROM largest JOIN days USING (day);
""")
ours = db.execute(f"""
SELECT policy, sum(looked) AS looked, sum(held) AS held_unseen,
  sum(CASE WHEN fraud THEN looked + held ELSE 0 END) AS frauds_stopped, sum(CASE WHEN fraud THEN 0 ELSE held END) AS good_stopped,
  sum(CASE WHEN fraud THEN (looked + held) * (amount + {fee}) ELSE 0 END) AS loss_avoided,
  sum(looked) * {review} AS review_cost, sum(CASE WHEN fraud THEN 0 ELSE held * amount * {margin} END) AS margin_lost
FROM fates GROUP BY policy ORDER BY policy""").fetchall()
theirs = db.execute(f"""
SELECT policy, looked, held_unseen, frauds_stopped, good_stopped, loss_avoided, review_cost, margin_lost, saved
FROM read_parquet('{out}/evaluation/money_saved/target=fraud/*.parquet') WHERE grain = 'all' ORDER BY policy""").fetchall()
assert [row[0] for row in ours] == [row[0] for row in theirs], (ours, theirs)
for mine, published in zip(ours, theirs):
    mine = (mine[0], *map(float, mine[1:]))
    mine = (*mine, mine[5] - mine[6] - mine[7])
    wrong = [pair for pair in zip(mine[1:], published[1:]) if abs(pair[0] - pair[1]) > 1e-6 * max(1.0, abs(pair[0]))]
    assert not wrong, (mine, published)
print(f"{len(ours)} policies, every number equal")
