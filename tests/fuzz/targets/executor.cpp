// Random bytes in random modes and states: tests/fuzz/executor.hpp.
#include "tests/fuzz/executor.hpp"

#include <cstdio>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    const std::string problems = vtlsim::tests::check_executor({data, size});
    if (!problems.empty()) {
        std::fputs(problems.c_str(), stderr);
        std::abort();
    }
    return 0;
}
