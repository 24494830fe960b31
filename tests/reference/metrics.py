"""Numbers of scikit-learn that tests of src/risk hold: metrics, isotonic curve, daily card precision.

Run it with scikit-learn 1.9 and numpy and compare with the numbers in src/risk/{metrics,isotonic,calibrate,daily}.rs.
"""

import numpy as np
from sklearn.calibration import calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score, roc_curve

SCORES = [0.0, 1.0, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.2, 0.2, 0.7, 0.05, 0.05, 0.05, 0.05, 0.3, 0.3, 0.8, 1e-9]
LABELS = [0, 1, 1, 0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0]
RAW = [-3.0, -2.5, -2.5, -2.0, -1.5, -1.0, -1.0, -1.0, -0.5, 0.0, 0.25, 0.5, 1.0, 1.0, 2.0, 3.0]
OUTCOMES = [0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 1]
AT = [-9.0, -3.0, -2.75, -2.5, -1.2, -0.75, -0.5, -0.1, 0.3, 0.75, 1.0, 1.7, 2.6, 9.0]


def recall_at(labels, scores, rate):
    false, true, _ = roc_curve(labels, scores, drop_intermediate=False)
    return true[false <= rate].max()


def metrics(name, labels, scores):
    print(f"{name}: average precision {average_precision_score(labels, scores)!r}")
    print(f"{name}: ROC AUC {roc_auc_score(labels, scores)!r}")
    print(f"{name}: recall at 1 % false positives {recall_at(labels, scores, 0.01)!r}")
    print(f"{name}: Brier {brier_score_loss(labels, scores)!r}")
    print(f"{name}: log loss {log_loss(labels, scores)!r}")
    for strategy in ("uniform", "quantile"):
        for bins in (5, 10):
            observed, predicted = calibration_curve(labels, scores, n_bins=bins, strategy=strategy)
            edges = (
                np.linspace(0, 1, bins + 1)
                if strategy == "uniform"
                else np.percentile(scores, np.linspace(0, 1, bins + 1) * 100)
            )
            rows = np.bincount(np.searchsorted(edges[1:-1], scores), minlength=bins)
            rows = rows[rows > 0]
            error = np.sum(rows * np.abs(observed - predicted)) / len(scores)
            print(f"{name}: {strategy} {bins} bins: error {error!r}, rows {rows.tolist()}")


def main():
    metrics("ties", LABELS, SCORES)
    metrics("constant", LABELS, [0.35] * len(LABELS))
    metrics("perfect", [0, 0, 0, 1, 1], [0.0, 0.1, 0.2, 0.9, 1.0])
    metrics("reversed", [1, 1, 0, 0, 0], [0.0, 0.1, 0.2, 0.9, 1.0])
    curve = IsotonicRegression(out_of_bounds="clip").fit(RAW, OUTCOMES)
    print("isotonic:", [(at, float(curve.predict([at])[0])) for at in AT])


if __name__ == "__main__":
    main()
