sluice_kernel_test(loader SOURCES loader_fixture.cpp loader_attach_test.cpp loader_backends_test.cpp loader_image_test.cpp
                                  loader_pins_test.cpp
                   USES dataplane_xdp planner)
