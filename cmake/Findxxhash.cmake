# Defines xxhash::xxhash. vcpkg and xxHash's own build ship a CMake package; Debian only a
# pkg-config file, whose contents amount to one header and one library.
find_package(xxHash CONFIG QUIET)
if(TARGET xxHash::xxhash)
    if(NOT TARGET xxhash::xxhash)
        add_library(xxhash::xxhash INTERFACE IMPORTED)
        target_link_libraries(xxhash::xxhash INTERFACE xxHash::xxhash)
    endif()
    set(xxhash_FOUND TRUE)
    return()
endif()

find_path(xxhash_INCLUDE_DIR xxhash.h)
find_library(xxhash_LIBRARY xxhash)
mark_as_advanced(xxhash_INCLUDE_DIR xxhash_LIBRARY)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(xxhash REQUIRED_VARS xxhash_LIBRARY xxhash_INCLUDE_DIR)

if(xxhash_FOUND AND NOT TARGET xxhash::xxhash)
    add_library(xxhash::xxhash UNKNOWN IMPORTED)
    set_target_properties(xxhash::xxhash PROPERTIES
        IMPORTED_LOCATION "${xxhash_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${xxhash_INCLUDE_DIR}")
endif()
