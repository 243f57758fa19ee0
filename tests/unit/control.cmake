sluice_unit_test(control SOURCES control_controller_test.cpp USES control)
