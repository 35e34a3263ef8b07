# krux_seccomp_filters(<variable> <folder>/<name> <Name>=<file>.rules[+<file>.rules]…): compiles reviewed
# rules into generated/<folder>/<name>.{h,cc}, where krux::<folder>::generated::k<Name>Filter is a
# CompiledFilter (base/seccomp/filter.h). <variable> gets the files, for add_library. Files are named
# from the root of the tree.
function(krux_seccomp_filters variable stem)
  set(generated ${CMAKE_BINARY_DIR}/generated)
  get_filename_component(folder ${generated}/${stem} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  set(inputs "")
  foreach(filter IN LISTS ARGN)
    string(REGEX REPLACE "^[^=]*=" "" files ${filter})
    string(REPLACE "+" ";" files ${files})
    list(APPEND inputs ${files})
  endforeach()
  list(REMOVE_DUPLICATES inputs)
  list(TRANSFORM inputs PREPEND ${CMAKE_SOURCE_DIR}/)
  add_custom_command(
    OUTPUT ${generated}/${stem}.h ${generated}/${stem}.cc
    COMMAND krux-seccomp-compile ${CMAKE_SYSTEM_PROCESSOR} ${generated} ${stem} ${ARGN}
    DEPENDS krux-seccomp-compile ${inputs}
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR}
    COMMENT "Compiling the rules of ${stem}" VERBATIM)
  set(${variable} ${generated}/${stem}.cc ${generated}/${stem}.h PARENT_SCOPE)
endfunction()
