# What equals ONNX Runtime: folders in the layout of the backend tests, and the streams. Neither needs Python;
# run.sh adds the exports that do.
set(here ${CMAKE_CURRENT_SOURCE_DIR}/conformance)

motet_test(test_streams ${here}/test_streams.c motet PkgConfig::SNDFILE)

# Debian's libonnx-testdata, where it is installed.
find_path(ONNX_TESTDATA node/test_abs/model.onnx PATHS /usr/share/libonnx-testdata/data NO_DEFAULT_PATH)
if(ONNX_TESTDATA)
  add_test(NAME conformance_backend
    COMMAND motet_command model test --failures --passing ${here}/passing.txt onnx-1.12=${ONNX_TESTDATA})
else()
  message(STATUS "no libonnx-testdata: the ONNX backend tests are left out")
endif()

# Our own, in the same layout. gradient: every rule of graph/passes/gradient.c, against PyTorch.
add_test(NAME conformance_cases COMMAND motet_command model test --failures cases=${here}/cases)
