# cmake --install: the program, the libraries with their headers, the scenarios, and a package for
# find_package(vtlsim). Headers go below include/vtlsim, which users get as include path, so that
# #include "sim/types.hpp" reads the same inside and outside this tree.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/vtlsim")
set(header_dir "${CMAKE_INSTALL_INCLUDEDIR}/vtlsim")

install(TARGETS vtlsim_sim vtlsim_model vtlsim_runner vtlsim_api
    EXPORT vtlsimTargets
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
    FILE_SET HEADERS DESTINATION "${header_dir}")
install(TARGETS vtlsim RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(DIRECTORY "${VTLSIM_GENERATED_DIR}/" DESTINATION "${header_dir}"
    FILES_MATCHING PATTERN "*.hpp")
install(DIRECTORY scenarios/ DESTINATION "${CMAKE_INSTALL_DATADIR}/vtlsim/scenarios")
install(DIRECTORY examples/ DESTINATION "${CMAKE_INSTALL_DATADIR}/vtlsim/examples")
install(FILES docs/scenario.schema.json DESTINATION "${CMAKE_INSTALL_DATADIR}/vtlsim")
install(FILES LICENSE DESTINATION "${CMAKE_INSTALL_DOCDIR}")

install(EXPORT vtlsimTargets NAMESPACE vtlsim:: DESTINATION "${package_dir}")
configure_package_config_file(cmake/vtlsimConfig.cmake.in
    "${PROJECT_BINARY_DIR}/vtlsimConfig.cmake" INSTALL_DESTINATION "${package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/vtlsimConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
install(FILES
    "${PROJECT_BINARY_DIR}/vtlsimConfig.cmake"
    "${PROJECT_BINARY_DIR}/vtlsimConfigVersion.cmake"
    cmake/VtlsimDependencies.cmake
    cmake/FindMPFR.cmake
    cmake/Findxxhash.cmake
    DESTINATION "${package_dir}")
