"""Writes isolation_forest.onnx: scikit-learn's IsolationForest as skl2onnx exports it, for tests/unit/test_forest.c.

    python tests/unit/data/isolation_forest.py      # needs numpy, scikit-learn, skl2onnx
"""

import pathlib

import numpy as np
import skl2onnx
from sklearn import ensemble

x = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
forest = ensemble.IsolationForest(n_estimators=3, max_samples=16, random_state=0).fit(x)
model = skl2onnx.to_onnx(forest, x[:1], target_opset={"": 17, "ai.onnx.ml": 3})
pathlib.Path(__file__).with_suffix(".onnx").write_bytes(model.SerializeToString())
