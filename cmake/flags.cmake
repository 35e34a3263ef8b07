# Compiler flags of every target, in one place.
add_library(krux_flags INTERFACE)
target_include_directories(krux_flags INTERFACE ${CMAKE_SOURCE_DIR} ${CMAKE_BINARY_DIR}/generated)
target_compile_definitions(krux_flags INTERFACE _GNU_SOURCE KRUX_VERSION="${PROJECT_VERSION}")
target_compile_options(krux_flags INTERFACE
  -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor> -Werror=return-type
  -fstack-protector-strong -fno-omit-frame-pointer
  $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2 -fcf-protection -fPIE>)

if(KRUX_SANITIZE)
  target_compile_options(krux_flags INTERFACE -fsanitize=${KRUX_SANITIZERS} -fno-sanitize-recover=all)
  target_link_options(krux_flags INTERFACE -fsanitize=${KRUX_SANITIZERS})
  # The daemons' own seccomp filters know nothing of a sanitizer's runtime: base/self_confine.h.
  target_compile_definitions(krux_flags INTERFACE KRUX_SANITIZED)
endif()

# krux_static_program(<name> SOURCES … LIBS …): a program that a worker is forked from, or that runs
# inside. None in a sanitized build: the runtime would be the largest thing in it and opens /proc,
# which it does not have. Their libraries are built and tested there all the same.
function(krux_static_program name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS" ${ARGN})
  if(NOT KRUX_SANITIZE)
    add_executable(${name} ${ARG_SOURCES})
    target_link_libraries(${name} PRIVATE krux_flags ${ARG_LIBS} -static -Wl,--gc-sections
      -Wl,-T,${CMAKE_SOURCE_DIR}/cmake/cold_libc.ld)
  endif()
endfunction()

# krux_small(<library>…): libraries of the static programs. Every page of them that is touched counts
# for krux-spawnd, whose copies the workers are; what a call costs are its system calls.
function(krux_small)
  foreach(library IN LISTS ARGN)
    target_compile_options(${library} PRIVATE
      $<$<CONFIG:Release>:-Os;-ffunction-sections;-fdata-sections>)
  endforeach()
endfunction()

# krux_hooks_program(<program>): <program>-hooks, the same daemon with the switches that its tests need
# (base/injection.h). Built with the tests, as shipped otherwise, never installed.
# Sources that follow the name are built into it again, with KRUX_TEST_HOOKS, instead of an archive's.
function(krux_hooks_program program)
  if(NOT KRUX_TESTS OR KRUX_SANITIZE)
    return()
  endif()
  get_target_property(sources ${program} SOURCES)
  get_target_property(libraries ${program} LINK_LIBRARIES)
  # With its own ConfineSelf, which can leave a layer out: an archive's member is not taken where its
  # symbols are there already.
  add_executable(${program}-hooks EXCLUDE_FROM_ALL
    ${sources} ${CMAKE_SOURCE_DIR}/base/self_confine.cc ${ARGN})
  target_compile_definitions(${program}-hooks PRIVATE KRUX_TEST_HOOKS)
  target_link_libraries(${program}-hooks PRIVATE krux_injection ${libraries})
endfunction()

# krux_test(<name> SOURCES … LIBS …): one GoogleTest program, discovered by ctest, named after the file.
function(krux_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LIBS;LABELS" ${ARGN})
  add_executable(${name} ${ARG_SOURCES})
  target_link_libraries(${name} PRIVATE krux_flags ${ARG_LIBS} GTest::gtest_main)
  gtest_discover_tests(${name} DISCOVERY_TIMEOUT 60 PROPERTIES LABELS "${ARG_LABELS}" TIMEOUT 300)
endfunction()
