# Defines MPFR::MPFR with the GMP it is made on. vcpkg and conan ship CMake packages of other names;
# Debian none at all, only headers and libraries.
find_path(MPFR_INCLUDE_DIR mpfr.h)
find_library(MPFR_LIBRARY mpfr)
find_path(GMP_INCLUDE_DIR gmp.h)
find_library(GMP_LIBRARY gmp)
mark_as_advanced(MPFR_INCLUDE_DIR MPFR_LIBRARY GMP_INCLUDE_DIR GMP_LIBRARY)

if(MPFR_INCLUDE_DIR)
    file(STRINGS "${MPFR_INCLUDE_DIR}/mpfr.h" MPFR_VERSION
        REGEX "^#define[ \t]+MPFR_VERSION_STRING[ \t]")
    string(REGEX REPLACE ".*\"([0-9.]+).*" "\\1" MPFR_VERSION "${MPFR_VERSION}")
endif()

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(MPFR
    REQUIRED_VARS MPFR_LIBRARY MPFR_INCLUDE_DIR GMP_LIBRARY GMP_INCLUDE_DIR
    VERSION_VAR MPFR_VERSION)

if(MPFR_FOUND AND NOT TARGET MPFR::MPFR)
    add_library(MPFR::MPFR UNKNOWN IMPORTED)
    set_target_properties(MPFR::MPFR PROPERTIES
        IMPORTED_LOCATION "${MPFR_LIBRARY}"
        INTERFACE_INCLUDE_DIRECTORIES "${MPFR_INCLUDE_DIR};${GMP_INCLUDE_DIR}"
        INTERFACE_LINK_LIBRARIES "${GMP_LIBRARY}")
endif()
