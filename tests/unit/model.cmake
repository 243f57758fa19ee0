sluice_unit_test(model SOURCES model_document_test.cpp model_validate_test.cpp model_limits_test.cpp USES model codec)
target_include_directories(unit_model PRIVATE ${PROJECT_SOURCE_DIR}/bpf)
