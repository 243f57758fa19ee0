sluice_kernel_test(loader SOURCES loader_fixture.cpp loader_attach_test.cpp loader_backends_test.cpp loader_image_test.cpp
                                  loader_limits_test.cpp loader_mtu_test.cpp loader_pins_test.cpp loader_versions_test.cpp
                   USES dataplane_xdp planner)
target_compile_definitions(kernel_loader PRIVATE SLUICE_BPF_VERSIONS="${CMAKE_CURRENT_BINARY_DIR}/versions")
add_dependencies(kernel_loader sluice_bpf_versions)
