# The hostile clients: tests/hostile asks how the gateway behaves under them, krux_bench what they cost.
add_library(krux_attacks STATIC EXCLUDE_FROM_ALL
  ${CMAKE_SOURCE_DIR}/tests/hostile/attacks.cc ${CMAKE_SOURCE_DIR}/tests/hostile/measure.cc)
target_link_libraries(krux_attacks PUBLIC krux_gateway_client krux_base_core PRIVATE krux_flags)
