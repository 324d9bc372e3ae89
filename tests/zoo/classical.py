"""scikit-learn's models and pipelines through skl2onnx: ai.onnx.ml as it is met in the wild."""

import numpy as np
import skl2onnx
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType, StringTensorType
from sklearn import compose, ensemble, impute, linear_model, naive_bayes, neighbors, neural_network, pipeline
from sklearn import preprocessing, svm

import cases

FEATURES = 6
ROWS = (5, 33)  # of the two data sets
WORDS = np.array(["alpha", "beta", "gamma", "delta", "", "Ünïcode", "a longer word with spaces"], object)


def numbers(seed, rows):
    return np.random.default_rng(seed).normal(0, 2, (rows, FEATURES)).astype(np.float32)


def holes(seed, rows):
    values = numbers(seed, rows)
    values[np.random.default_rng(seed + 1).random(values.shape) < 0.2] = np.nan
    return values


def counts(seed, rows):
    return np.random.default_rng(seed).integers(0, 7, (rows, 2))


def words(seed, rows):
    return np.random.default_rng(seed).choice(WORDS, (rows, 2))


X = numbers(0, 400)
SIGNS = (X[:, 0] + X[:, 1] ** 2 > 2).astype(np.int64)
CLASSES = np.digitize(X[:, 0] - 0.5 * X[:, 2], [-1, 1])
NAMES = np.array(["low", "middle", "high"], object)[CLASSES]
AMOUNTS = X[:, 0] * X[:, 1] + np.sin(X[:, 3])
KEPT = {"zipmap": False}  # probabilities as a tensor; the default is a sequence of maps

# name -> (fitted model, converter's options, ai.onnx.ml version)
MODELS = {
    "isolation-forest": lambda: (ensemble.IsolationForest(n_estimators=20, random_state=1).fit(X), None, 3),
    "isolation-forest-samples": lambda: (
        ensemble.IsolationForest(n_estimators=10, max_samples=64, contamination=0.1, random_state=2).fit(X),
        None,
        3,
    ),
    "random-forest": lambda: (
        ensemble.RandomForestClassifier(10, max_depth=6, random_state=3).fit(X, CLASSES),
        KEPT,
        3,
    ),
    "random-forest-names": lambda: (ensemble.RandomForestClassifier(10, random_state=4).fit(X, NAMES), KEPT, 3),
    "random-forest-zipmap": lambda: (ensemble.RandomForestClassifier(5, random_state=4).fit(X, NAMES), None, 3),
    "random-forest-binary": lambda: (ensemble.RandomForestClassifier(10, random_state=5).fit(X, SIGNS), KEPT, 3),
    "random-forest-regressor": lambda: (ensemble.RandomForestRegressor(10, random_state=6).fit(X, AMOUNTS), None, 3),
    "random-forest-two-targets": lambda: (
        ensemble.RandomForestRegressor(10, random_state=6).fit(X, np.stack([AMOUNTS, X[:, 4]], 1)),
        None,
        3,
    ),
    "extra-trees": lambda: (ensemble.ExtraTreesClassifier(10, random_state=7).fit(X, CLASSES), KEPT, 3),
    "gradient-boosting": lambda: (
        ensemble.GradientBoostingClassifier(n_estimators=15, random_state=8).fit(X, SIGNS),
        KEPT,
        3,
    ),
    "gradient-boosting-classes": lambda: (
        ensemble.GradientBoostingClassifier(n_estimators=10, random_state=8).fit(X, CLASSES),
        KEPT,
        3,
    ),
    "gradient-boosting-regressor": lambda: (
        ensemble.GradientBoostingRegressor(n_estimators=20, random_state=9).fit(X, AMOUNTS),
        None,
        3,
    ),
    "ada-boost": lambda: (ensemble.AdaBoostClassifier(n_estimators=5, random_state=9).fit(X, CLASSES), KEPT, 3),
    "logistic-regression": lambda: (linear_model.LogisticRegression().fit(X, SIGNS), KEPT, 1),
    "logistic-regression-classes": lambda: (linear_model.LogisticRegression().fit(X, CLASSES), KEPT, 1),
    "logistic-regression-names": lambda: (linear_model.LogisticRegression().fit(X, NAMES), KEPT, 1),
    "logistic-regression-zipmap": lambda: (linear_model.LogisticRegression().fit(X, CLASSES), None, 1),
    "ridge": lambda: (linear_model.Ridge().fit(X, AMOUNTS), None, 1),
    "one-class-svm": lambda: (svm.OneClassSVM(nu=0.1).fit(X), None, 1),
    "svc": lambda: (svm.SVC(random_state=0).fit(X, CLASSES), KEPT, 1),
    "svc-binary-names": lambda: (svm.SVC(kernel="poly", random_state=0).fit(X, NAMES == "low"), KEPT, 1),
    "nu-svr": lambda: (svm.NuSVR(kernel="sigmoid").fit(X, AMOUNTS), None, 1),
    "svr-linear": lambda: (svm.SVR(kernel="linear", C=0.1).fit(X[:60], AMOUNTS[:60]), None, 1),
    "linear-svc": lambda: (svm.LinearSVC().fit(X, CLASSES), None, 1),
    "gaussian-bayes": lambda: (naive_bayes.GaussianNB().fit(X, CLASSES), KEPT, 1),
    "nearest-neighbours": lambda: (neighbors.KNeighborsClassifier(3).fit(X[:60], NAMES[:60]), KEPT, 1),
    "perceptron": lambda: (neural_network.MLPClassifier((8,), max_iter=50, random_state=1).fit(X, NAMES), KEPT, 1),
    "scaler": lambda: (preprocessing.StandardScaler().fit(X), None, 1),
    "min-max": lambda: (preprocessing.MinMaxScaler().fit(X), None, 1),
    "normalizer-l1": lambda: (preprocessing.Normalizer("l1").fit(X), None, 1),
    "normalizer-max": lambda: (preprocessing.Normalizer("max").fit(X), None, 1),
    "binarizer": lambda: (preprocessing.Binarizer(threshold=0.5).fit(X), None, 1),
    "polynomial": lambda: (preprocessing.PolynomialFeatures(2).fit(X), None, 1),
    "scaled-logistic-regression": lambda: (
        pipeline.make_pipeline(preprocessing.StandardScaler(), linear_model.LogisticRegression()).fit(X, NAMES),
        KEPT,
        1,
    ),
    "scaled-isolation-forest": lambda: (
        pipeline.make_pipeline(
            preprocessing.RobustScaler(), ensemble.IsolationForest(n_estimators=15, random_state=1)
        ).fit(X),
        None,
        3,
    ),
}


def imputer():
    return impute.SimpleImputer(strategy="median").fit(holes(1, 200))


def one_hot_words():
    return preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(words(2, 200)[:, :])


def one_hot_counts():
    return preprocessing.OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(counts(3, 200))


def ordinal_words():
    return preprocessing.OrdinalEncoder().fit(words(2, 200))


# name -> (fitted model, what draws its input, the input's type)
ENCODERS = {
    "imputer": lambda: (imputer(), holes, FloatTensorType([None, FEATURES])),
    "one-hot-words": lambda: (one_hot_words(), words, StringTensorType([None, 2])),
    "one-hot-counts": lambda: (one_hot_counts(), counts, Int64TensorType([None, 2])),
    "ordinal-words": lambda: (ordinal_words(), words, StringTensorType([None, 2])),
}


def convert(model, types, options, ml):
    if options is not None:
        last = model.steps[-1][1] if isinstance(model, pipeline.Pipeline) else model
        options = {id(last): options}
    return skl2onnx.to_onnx(model, initial_types=types, options=options, target_opset={"": 21, "ai.onnx.ml": ml})


def write(folder, converted, feeds):
    (folder / "model.onnx").write_bytes(converted.SerializeToString())
    cases.write_case(folder, feeds, cases.CLOSE)


def make_mixed(folder):
    """Words and numbers in one pipeline, as an anomaly detector over log fields has them: several inputs."""
    import pandas

    frame = pandas.DataFrame(
        {"host": words(5, 300)[:, 0], "level": words(6, 300)[:, 1], "size": X[:300, 0], "time": X[:300, 1]}
    )
    columns = compose.ColumnTransformer(
        [
            ("words", preprocessing.OneHotEncoder(handle_unknown="ignore"), ["host", "level"]),
            ("numbers", preprocessing.StandardScaler(), ["size", "time"]),
        ]
    )
    model = pipeline.make_pipeline(columns, linear_model.LogisticRegression()).fit(frame, SIGNS[:300])
    types = [(name, StringTensorType([None, 1])) for name in ("host", "level")]
    types += [(name, FloatTensorType([None, 1])) for name in ("size", "time")]

    def feeds(seed, rows):
        drawn = {"host": words(seed, rows)[:, :1], "level": words(seed + 1, rows)[:, 1:]}
        return drawn | {"size": numbers(seed, rows)[:, :1], "time": numbers(seed, rows)[:, 1:2]}

    write(folder, convert(model, types, KEPT, 1), [feeds(70 + rows, rows) for rows in ROWS])


def writing_numbers(build):
    def write_case(folder):
        model, options, ml = build()
        converted = convert(model, [("X", FloatTensorType([None, FEATURES]))], options, ml)
        write(folder, converted, [{"X": numbers(50 + rows, rows)} for rows in ROWS])

    return write_case


def writing_encoder(build):
    def write_case(folder):
        model, draw, kind = build()
        write(folder, convert(model, [("X", kind)], None, 3), [{"X": draw(60 + rows, rows)} for rows in ROWS])

    return write_case


# name -> function(folder) that makes the case
CASES = {name: writing_numbers(build) for name, build in MODELS.items()}
CASES |= {name: writing_encoder(build) for name, build in ENCODERS.items()}
CASES["mixed-columns"] = make_mixed
