sluice_unit_test(base SOURCES base_test.cpp USES base)
