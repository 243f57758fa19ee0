sluice_unit_test(store SOURCES store_test.cpp USES store LIBRARIES SQLiteCpp)
