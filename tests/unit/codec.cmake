sluice_unit_test(codec SOURCES codec_test.cpp codec_schema_test.cpp USES codec)
