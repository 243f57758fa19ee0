sluice_unit_test(cli SOURCES cli_commands_test.cpp cli_format_test.cpp USES cli)
