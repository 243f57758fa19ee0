sluice_kernel_test(concurrent SOURCES loader_fixture.cpp concurrent_test.cpp
                   USES api_server control dataplane_xdp kernel store planner)
sluice_threaded_test(kernel.concurrent kernel_concurrent)
