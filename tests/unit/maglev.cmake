sluice_unit_test(maglev SOURCES maglev_table_test.cpp maglev_vectors_test.cpp USES maglev base LIBRARIES Boost::json)
target_compile_definitions(unit_maglev PRIVATE MAGLEV_VECTORS="${CMAKE_CURRENT_LIST_DIR}/maglev_vectors.json")
