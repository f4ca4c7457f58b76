// Where the verbs' text goes. Nothing here throws; a reader that has gone away (a closed pipe) is
// no error.
#pragma once

#include <string>
#include <string_view>

namespace vtlsim::cli {

// Makes writing to a closed pipe an error of that write instead of a signal.
void ignore_closed_pipes();

// To standard output if `path` is empty. A regular file is written under a temporary name beside it
// and then renamed. False: it failed, and a message is on standard error.
bool write_output(const std::string& path, std::string_view text);

void write_error(std::string_view text);

}  // namespace vtlsim::cli
