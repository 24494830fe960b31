"""Numbers that tests of src/risk hold: of scikit-learn metrics and the isotonic curve, of numpy the weights of ftrl.

Run it with scikit-learn 1.9 and numpy and compare with the numbers in src/risk/{metrics,isotonic,calibrate,daily}.rs and
src/risk/ftrl/tests.rs.
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


ROWS = [[1, -0.5, 0.1], [0.5, 2, 0], [-1.5, 0.25, -0.2], [0, -1, 0.3], [2, 1, -0.1], [-0.75, 0.5, 0.2], [1.25, -2, 0]]
ROWS += [[0.3, 0.3, -0.3]]


def ftrl(rows, labels, alpha, beta, l1, l2):
    """Algorithm 1 of McMahan and others 2013; the last column is the intercept, which has no penalties."""
    columns = len(rows[0])
    z, n = np.zeros(columns + 1), np.zeros(columns + 1)
    l1, l2 = np.array([l1] * columns + [0.0]), np.array([l2] * columns + [0.0])

    def weights():
        return np.where(np.abs(z) <= l1, 0.0, (np.sign(z) * l1 - z) / ((beta + np.sqrt(n)) / alpha + l2))

    for row, label in zip(rows, labels):
        x, w = np.append(row, 1.0), weights()
        gradient = (1 / (1 + np.exp(-x @ w)) - label) * x
        z += gradient - (np.sqrt(n + gradient**2) - np.sqrt(n)) / alpha * w
        n += gradient**2
    return weights()


def main():
    metrics("ties", LABELS, SCORES)
    metrics("constant", LABELS, [0.35] * len(LABELS))
    metrics("perfect", [0, 0, 0, 1, 1], [0.0, 0.1, 0.2, 0.9, 1.0])
    metrics("reversed", [1, 1, 0, 0, 0], [0.0, 0.1, 0.2, 0.9, 1.0])
    curve = IsotonicRegression(out_of_bounds="clip").fit(RAW, OUTCOMES)
    print("isotonic:", [(at, float(curve.predict([at])[0])) for at in AT])
    for rates in [(0.5, 1.0, 0.0, 0.0), (0.5, 2.0, 0.25, 1.5)]:
        print("ftrl:", rates, ftrl(ROWS, [1, 0, 0, 1, 1, 0, 1, 0], *rates).tolist())


if __name__ == "__main__":
    main()
