sluice_kernel_test(packets
  SOURCES packet.cpp loader_fixture.cpp packets_fixture.cpp
          packets_access_test.cpp
          packets_dsr_test.cpp
          packets_errors_test.cpp
          packets_fragment_test.cpp
          packets_icmp_test.cpp
          packets_jumbo_test.cpp
          packets_limit_test.cpp
          packets_nat_error_test.cpp
          packets_nat_test.cpp
          packets_pass_test.cpp
          packets_ports_test.cpp
          packets_property_test.cpp
          packets_quic_test.cpp
          packets_timing_test.cpp
          packets_too_big_test.cpp
          packets_tracking_test.cpp
          packets_transition_test.cpp
  USES dataplane_xdp planner transition
  SHARDS 4)
sluice_kernel_test(programs SOURCES older_kernels_test.cpp packet.cpp programs_test.cpp USES base dataplane_xdp LIBRARIES PkgConfig::LIBBPF)
target_compile_definitions(kernel_programs PRIVATE SLUICE_BPF_OBJECTS="${PROJECT_BINARY_DIR}/bpf"
                                                   SLUICE_BPF_SOURCES="${PROJECT_SOURCE_DIR}/bpf")
add_dependencies(kernel_programs sluice_bpf_objects)
target_include_directories(kernel_packets PRIVATE ${PROJECT_SOURCE_DIR}/tests/unit)
target_include_directories(kernel_programs PRIVATE ${PROJECT_SOURCE_DIR}/bpf)
