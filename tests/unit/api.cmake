sluice_unit_test(api SOURCES api_edits_test.cpp api_http_test.cpp api_routes_test.cpp USES api)
