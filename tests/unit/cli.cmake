sluice_unit_test(cli PLAIN SOURCES cli_commands_test.cpp cli_format_test.cpp USES cli)
