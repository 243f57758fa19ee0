sluice_kernel_test(netlink
  SOURCES netlink_fixture.cpp netlink_tables_test.cpp netlink_next_hops_test.cpp netlink_rights_test.cpp
  USES kernel
  LIBRARIES Boost::json)
