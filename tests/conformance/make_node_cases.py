"""Writes the node cases of the installed onnx release as folders in the backend layout.

    make_node_cases.py OUT        OUT/test_NAME/{model.onnx,test_data_set_0/{input,output}_K.pb}

onnx makes these cases in its test loader and its own command (onnx.backend.test.cmd_tools generate-data) writes only
the cases of other kinds; this runs that command's writer on the loader's node cases. A case whose tolerance is not the
default gets a file "tolerance". What is there from the same release is left alone.
"""
import argparse
import os
import sys

import numpy
import onnx
from onnx.backend.test import cmd_tools
from onnx.backend.test.case import model
from onnx.backend.test.loader import load_model_tests


def main():
    out = sys.argv[1]
    mark = os.path.join(out, "release")
    if os.path.exists(mark) and open(mark).read() == onnx.__version__:
        return
    numpy.random.seed(0)
    cases = load_model_tests(kind="node")
    model.collect_testcases = lambda: cases
    cmd_tools.generate_data(argparse.Namespace(output=out))
    for case in cases:
        if (case.rtol, case.atol) != (1e-3, 1e-7):
            with open(os.path.join(out, case.kind, case.name, "tolerance"), "w") as file:
                file.write(f"rtol {case.rtol}\natol {case.atol}\n")
    with open(mark, "w") as file:
        file.write(onnx.__version__)
    print(f"onnx {onnx.__version__}: {len(cases)} node cases")


main()
