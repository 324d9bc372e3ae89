# What equals ONNX Runtime: the runner of backend-layout folders, and the streams. Neither needs Python;
# run.sh adds the exports that do.
set(here ${CMAKE_CURRENT_SOURCE_DIR}/conformance)

add_library(mt_conformance OBJECT ${here}/tensor_pb.c ${here}/compare.c ${here}/cases.c)
target_include_directories(mt_conformance PUBLIC ${here})
target_link_libraries(mt_conformance PUBLIC motet_settings mt_schema)

# The reader and the comparison alone; cases.c is not pulled in, as it wants an engine.
motet_test(test_compare ${here}/test_compare.c mt_schema mt_core PkgConfig::PROTOBUF_C)
target_sources(test_compare PRIVATE ${here}/tensor_pb.c ${here}/compare.c)

add_executable(conformance ${here}/conformance.c)
target_link_libraries(conformance PRIVATE mt_conformance mt_schema motet PkgConfig::PROTOBUF_C)

motet_test(test_streams ${here}/test_streams.c mt_conformance mt_schema motet PkgConfig::SNDFILE)

# Debian's libonnx-testdata, where it is installed.
find_path(ONNX_TESTDATA node/test_abs/model.onnx PATHS /usr/share/libonnx-testdata/data NO_DEFAULT_PATH)
if(ONNX_TESTDATA)
  add_test(NAME conformance_backend
    COMMAND conformance --failures --passing ${here}/passing.txt onnx-1.12=${ONNX_TESTDATA})
else()
  message(STATUS "no libonnx-testdata: the ONNX backend tests are left out")
endif()
