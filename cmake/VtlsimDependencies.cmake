# The libraries that vtlsim's own are made of; also part of the installed package.
include(CMakeFindDependencyMacro)
find_dependency(zydis 4.0 CONFIG)
find_dependency(fmt 9.1 CONFIG)
find_dependency(xxhash)
find_dependency(MPFR 4.2)
find_dependency(Threads)
find_dependency(nlohmann_json 3.11 CONFIG)
find_dependency(valijson CONFIG)
if(NOT TARGET ValiJSON::valijson)  # Debian's package leaves the namespace out
    add_library(ValiJSON::valijson ALIAS valijson)
endif()
