# The targets that every layer is made of.

add_library(vtlsim_warnings INTERFACE)
target_compile_options(vtlsim_warnings INTERFACE
    -Wall -Wextra -Wconversion -Wshadow $<$<BOOL:${VTLSIM_WERROR}>:-Werror>)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    # GCC bug 105651: at -O3 it sees overlapping copies in "text" + std::string. Shown, not fatal.
    target_compile_options(vtlsim_warnings INTERFACE -Wno-error=restrict)
endif()

# vtlsim_use_own_rules(TARGET): the language level and the warnings of our own code. The warnings
# stay out of the exported package.
function(vtlsim_use_own_rules target)
    set_target_properties(${target} PROPERTIES CXX_EXTENSIONS OFF)
    target_compile_features(${target} PUBLIC cxx_std_20)
    target_link_libraries(${target} PRIVATE $<BUILD_INTERFACE:vtlsim_warnings>)
endfunction()

# vtlsim_precompile(TARGET HEADER...): these, and what most files include, are compiled once for the
# target. Clang only: of what it has precompiled, GCC forgets which headers are the system's and which
# warnings their macros turn off. So the builds with GCC see that a file includes what it uses.
function(vtlsim_precompile target)
    if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
        return()
    endif()
    target_precompile_headers(${target} PRIVATE
        <algorithm> <array> <map> <memory> <optional> <set> <span> <string> <string_view> <vector>
        ${ARGN})
endfunction()

# vtlsim_add_layer(NAME [BELOW LAYER]): the static library vtlsim_NAME, alias vtlsim::NAME, of every
# source below the current folder. It links the layer directly below, and so sees no layer above.
function(vtlsim_add_layer name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "" "BELOW" "")
    set(target vtlsim_${name})
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS "*.cpp")
    file(GLOB_RECURSE headers CONFIGURE_DEPENDS "*.hpp" "*.def")

    add_library(${target} STATIC ${sources})
    add_library(vtlsim::${name} ALIAS ${target})
    set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
    vtlsim_use_own_rules(${target})
    target_sources(${target} PUBLIC FILE_SET HEADERS
        BASE_DIRS "${PROJECT_SOURCE_DIR}" FILES ${headers})
    target_include_directories(${target} PUBLIC $<BUILD_INTERFACE:${VTLSIM_GENERATED_DIR}>)
    if(arg_BELOW)
        target_link_libraries(${target} PUBLIC vtlsim::${arg_BELOW})
    endif()
endfunction()
