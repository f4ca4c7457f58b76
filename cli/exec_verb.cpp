#include <cerrno>
#include <cstdio>
#include <cstring>
#include <unistd.h>

#include <fmt/format.h>

#include "cli/verbs.hpp"
#include "runner/exec_protocol.hpp"

namespace vtlsim::cli {

int exec_verb() {
    if (runner::serve_exec(STDIN_FILENO, stdout)) return 0;
    fmt::print(stderr, "vtlsim exec: {}\n", std::strerror(errno));
    return 2;
}

}  // namespace vtlsim::cli
