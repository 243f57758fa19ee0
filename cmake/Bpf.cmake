# sluice_bpf(NAME) builds NAME.bpf.c to NAME.bpf.o and embeds it: the target sluice_bpf_NAME has the symbols
# sluice_bpf_NAME_begin and sluice_bpf_NAME_end. Embedded by hand and not as a bpftool skeleton: the libbpf inside Debian
# 12's bpftool does not know .bss.* sections, the one that we link to does.
find_program(SLUICE_BPF_CLANG NAMES clang-19 clang-14 clang REQUIRED DOC "compiler of the BPF programs")

function(sluice_bpf_object source object)
  cmake_parse_arguments(BPF "" "CLANG;VERSION" "" ${ARGN})
  if(NOT BPF_VERSION)
    set(BPF_VERSION ${PROJECT_VERSION})
  endif()
  add_custom_command(
    OUTPUT ${object}
    DEPFILE ${object}.d
    DEPENDS ${source}
    COMMAND ${BPF_CLANG} -g -O2 -target bpf -mcpu=v3 -Wall -Wextra -Werror -DSLUICE_EXPLAIN=$<CONFIG:Debug>
            -DSLUICE_VERSION="${BPF_VERSION}" -I${PROJECT_SOURCE_DIR}/bpf
            -I/usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -MD -MF ${object}.d -MT ${object} -c ${source} -o ${object}
    COMMENT "Building BPF object ${object}"
    VERBATIM)
endfunction()

function(sluice_bpf name)
  set(object ${CMAKE_CURRENT_BINARY_DIR}/${name}.bpf.o)
  set(assembler ${CMAKE_CURRENT_BINARY_DIR}/${name}.embedded.S)
  sluice_bpf_object(${CMAKE_CURRENT_SOURCE_DIR}/${name}.bpf.c ${object} CLANG ${SLUICE_BPF_CLANG})
  file(CONFIGURE OUTPUT ${assembler} CONTENT [[
    .section .rodata
    .balign 16
    .global sluice_bpf_@name@_begin, sluice_bpf_@name@_end
sluice_bpf_@name@_begin:
    .incbin "@object@"
sluice_bpf_@name@_end:
    .section .note.GNU-stack, "", %progbits
]] @ONLY)
  set_source_files_properties(${assembler} PROPERTIES OBJECT_DEPENDS ${object})
  add_library(sluice_bpf_${name} STATIC ${assembler})
  target_include_directories(sluice_bpf_${name} INTERFACE ${PROJECT_SOURCE_DIR}/bpf)
  target_link_libraries(sluice_bpf_${name} INTERFACE PkgConfig::LIBBPF)
endfunction()
