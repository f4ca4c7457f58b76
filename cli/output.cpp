#include "cli/output.hpp"

#include <cerrno>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

namespace vtlsim::cli {

bool write_output(const std::string& path, std::string_view text) {
    if (path.empty()) {
        return std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
    }
    const std::string temporary = path + ".tmp";
    std::FILE* file = std::fopen(temporary.c_str(), "wb");
    bool good = file != nullptr;
    if (file != nullptr) {
        good = std::fwrite(text.data(), 1, text.size(), file) == text.size();
        good = std::fclose(file) == 0 && good;
        good = good && std::rename(temporary.c_str(), path.c_str()) == 0;
    }
    if (!good) {
        fmt::print(stderr, "{}:1:1: cannot be written: {}\n", path, std::strerror(errno));
        if (file != nullptr) std::remove(temporary.c_str());
    }
    return good;
}

}  // namespace vtlsim::cli
