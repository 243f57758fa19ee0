sluice_unit_test(dataplane SOURCES dataplane_encode_test.cpp dataplane_front_test.cpp dataplane_names_test.cpp
                                   dataplane_perfect_hash_test.cpp
                 USES dataplane_xdp)
