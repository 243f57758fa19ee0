sluice_unit_test(server PLAIN SOURCES server_test.cpp USES api_server)
sluice_threaded_test(unit.server unit_server)
