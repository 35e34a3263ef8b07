# In-jail misbehaviour programs: one file, one misbehaviour, one static program each. The tests run them,
# and they ship: `krux doctor --jail` runs them on the machine it is asked about. Built also without
# KRUX_TESTS, into `escape/` beside the daemons.

set(escape_programs
  abstract_socket become_another bpf_program cgroup_path chmod_setuid compat_syscalls core_dump
  creat_setuid dotdot exec_setuid_memfd fchmod_inherited fchmod_setuid fchmodat2_setuid
  fchmodat_setuid file_capabilities file_flags file_handles file_watch fill_disk fork_bomb
  gain_by_exec hard_links host_ipc host_name host_settings inherited_descriptors io_uring_ring
  join_namespaces junk_syscalls keyring kill_everyone landlock_widen link_host_file list_names
  loopback_talk machine_control make_device make_fifo make_socket memfd_program memory_hog
  message_queue mkdir_setgid mknod_setuid mount_family mount_listing moved_directory
  namespace_parents new_user_namespace open_devices open_setuid openat2_setuid other_processes
  outlive_call perf_events personality_flags proc_facts proc_links proc_of_init process_settings
  raise_limits raw_sockets read_foreign read_outside read_secret rename_out rename_whiteout
  rights_smuggling seccomp_override setuid_by_32bit setuid_by_x32 signal_by_descriptor
  signal_host_process signal_neighbour symlink_absolute symlink_out tcp_loopback trace_init
  tty_injection udp_send unix_socket_in_grant use_device_in_grant userfaultfd_stall
  write_fifo_in_grant write_kernel_files write_readonly x32_syscalls)
set(escape_dir ${CMAKE_RUNTIME_OUTPUT_DIRECTORY}/escape)
foreach(program IN LISTS escape_programs)
  krux_static_program(escape_${program} SOURCES ${CMAKE_CURRENT_LIST_DIR}/${program}.c)
  if(TARGET escape_${program})
    set_target_properties(escape_${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${escape_dir})
    install(TARGETS escape_${program} DESTINATION libexec/krux/escape COMPONENT escape)
  endif()
endforeach()
list(TRANSFORM escape_programs PREPEND escape_ OUTPUT_VARIABLE escape_targets)
if(NOT KRUX_SANITIZE)
  add_custom_target(krux-escape-programs DEPENDS ${escape_targets})
endif()
