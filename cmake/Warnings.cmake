# The flags that every C++ target of ours is built with.
add_library(sluice_flags INTERFACE)
target_compile_options(sluice_flags INTERFACE -Wall -Wextra -Wconversion -Wshadow -Wnon-virtual-dtor
                       $<$<CXX_COMPILER_ID:GNU>:-Wno-missing-field-initializers>
                       $<$<CXX_COMPILER_ID:Clang>:-Wno-missing-field-initializers>)
target_include_directories(sluice_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
# Headers of packages are not ours to mend.
target_compile_definitions(sluice_flags INTERFACE BOOST_ASIO_NO_DEPRECATED)
# A debug build checks what the library leaves to the caller.
target_compile_definitions(sluice_flags INTERFACE $<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)
if(SLUICE_SANITIZE)
  target_compile_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE} -fno-omit-frame-pointer)
  target_link_options(sluice_flags INTERFACE -fsanitize=${SLUICE_SANITIZE})
endif()
