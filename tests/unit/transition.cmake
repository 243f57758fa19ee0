sluice_unit_test(transition SOURCES transition_test.cpp USES transition)
