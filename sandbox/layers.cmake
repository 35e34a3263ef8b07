# krux_layers: the compiled layers and what the confined child calls. Libc only at run time: the
# libraries that know the formats (libseccomp, libnftnl) work while krux is built, and leave data.

set(layers_generated ${CMAKE_BINARY_DIR}/generated/sandbox)
file(MAKE_DIRECTORY ${layers_generated})

# --- seccomp: reviewed rules → BPF
add_library(krux_seccomp_rules STATIC seccomp/bpf_tree.c seccomp/rules.cc)
target_link_libraries(krux_seccomp_rules PRIVATE krux_flags PkgConfig::SECCOMP OpenSSL::Crypto)
add_executable(krux-seccomp-compile seccomp/compile_main.cc)
target_link_libraries(krux-seccomp-compile PRIVATE krux_flags krux_seccomp_rules)
set_target_properties(krux-seccomp-compile PROPERTIES
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/generators)

set(rules ${CMAKE_CURRENT_SOURCE_DIR}/seccomp)
add_custom_command(
  OUTPUT ${layers_generated}/seccomp_filters.h ${layers_generated}/seccomp_filters.cc
  COMMAND krux-seccomp-compile ${CMAKE_SYSTEM_PROCESSOR}
          ${layers_generated}/seccomp_filters.h ${layers_generated}/seccomp_filters.cc
          Fs=${rules}/fs.rules Exec=${rules}/exec.rules Write=${rules}/write.rules
  DEPENDS krux-seccomp-compile ${rules}/fs.rules ${rules}/exec.rules ${rules}/write.rules
  COMMENT "Compiling the seccomp rules" VERBATIM)

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
  ${layers_generated}/seccomp_filters.cc ${layers_generated}/seccomp_filters.h)
target_link_libraries(krux_layers PUBLIC krux_base_core PRIVATE krux_flags)
