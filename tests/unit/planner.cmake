sluice_unit_test(planner SOURCES planner_limits_test.cpp planner_plan_test.cpp planner_programs_test.cpp planner_property_test.cpp planner_rotation_test.cpp planner_transition_test.cpp
                                 planner_ways_test.cpp USES planner)
target_include_directories(unit_planner PRIVATE ${PROJECT_SOURCE_DIR}/bpf)
