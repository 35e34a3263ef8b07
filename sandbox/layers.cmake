# krux_layers: the compiled layers and what the confined child calls. Libc only at run time: the
# libraries that know the formats (libseccomp, libnftnl) work while krux is built, and leave data.

set(layers_generated ${CMAKE_BINARY_DIR}/generated/sandbox)
file(MAKE_DIRECTORY ${layers_generated})

# --- seccomp: reviewed rules → BPF
krux_seccomp_filters(worker_filters sandbox/worker_filters
  Fs=sandbox/seccomp/fs.rules Exec=sandbox/seccomp/exec.rules
  Write=sandbox/seccomp/write.rules Watch=sandbox/seccomp/watch.rules)

# --- nftables: the default-drop table → one netlink batch
add_executable(krux-nft-generate nftables/generate_main.cc)
target_link_libraries(krux-nft-generate PRIVATE krux_flags PkgConfig::NFTNL PkgConfig::MNL)
set_target_properties(krux-nft-generate PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/generators)
add_custom_command(
  OUTPUT ${layers_generated}/nft_batch.h ${layers_generated}/nft_batch.cc
  COMMAND krux-nft-generate ${layers_generated}/nft_batch.h ${layers_generated}/nft_batch.cc
  DEPENDS krux-nft-generate
  COMMENT "Generating the nftables batch" VERBATIM)

add_library(krux_layers STATIC
  caps.cc fds.cc landlock.cc nftables.cc nftables/dump.cc rlimits.cc seccomp.cc
  ${layers_generated}/nft_batch.cc ${layers_generated}/nft_batch.h
  ${worker_filters})
target_link_libraries(krux_layers PUBLIC krux_base_core PRIVATE krux_flags)
